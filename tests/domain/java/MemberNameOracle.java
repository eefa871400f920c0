import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import javax.naming.NamingException;
import javax.naming.directory.BasicAttributes;
import javax.naming.ldap.LdapName;
import javax.naming.ldap.Rdn;
import javax.security.auth.x500.X500Principal;

/**
 * What Java makes of member names: for each line of input, the hexadecimal UTF-16 units of a name, one line of output.
 *
 * <p>"NO TYPE" names the exception; "OK TEXT AGAIN" gives the canonical text, and what that text is read as ("-" if it
 * is refused). The rules are those of MemberX500Name of corda-api 5.2, over the same classes of Java; with the argument
 * "corda" its own class is called, which has to be on the class path. With "encoded", TEXT is the DER of the name.
 */
public final class MemberNameOracle {
    private static final List<String> KINDS = List.of("C", "ST", "L", "O", "OU", "CN");
    private static final Set<String> COUNTRIES = Set.copyOf(countries());

    interface Reader {
        String read(String text) throws Exception;
    }

    public static void main(String[] arguments) throws Exception {
        boolean encoded = Arrays.asList(arguments).contains("encoded");
        Reader reader = Arrays.asList(arguments).contains("corda") ? corda() : MemberNameOracle::read;
        PrintStream out = new PrintStream(System.out, false, "US-ASCII");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        for (String line; (line = in.readLine()) != null; ) {
            out.println(encoded ? encoded(fromHex(line)) : verdict(reader, fromHex(line)));
        }
        out.flush();
    }

    private static String verdict(Reader reader, String text) {
        String canonical;
        try {
            canonical = reader.read(text);
        } catch (Exception refused) {
            return "NO " + refused.getClass().getSimpleName();
        }
        try {
            return "OK " + toHex(canonical) + " " + toHex(reader.read(canonical));
        } catch (Exception refused) {
            return "OK " + toHex(canonical) + " -";
        }
    }

    private static String encoded(String text) {
        try {
            return "OK " + HexFormat.of().formatHex(new X500Principal(text).getEncoded()) + " -";
        } catch (Exception refused) {
            return "NO " + refused.getClass().getSimpleName();
        }
    }

    private static String read(String text) throws NamingException {
        Map<String, String> values = new HashMap<>();
        for (Rdn rdn : new LdapName(new X500Principal(text).toString()).getRdns()) {
            if (rdn.size() != 1 || !(rdn.getValue() instanceof String)) {
                throw new IllegalArgumentException("one string each");
            }
            if (!KINDS.contains(rdn.getType()) || values.put(rdn.getType(), (String) rdn.getValue()) != null) {
                throw new IllegalArgumentException("unsupported or repeated attribute");
            }
        }
        List<Rdn> rdns = new ArrayList<>();
        for (String kind : KINDS) {
            String value = values.get(kind);
            if (value != null) {
                rdns.add(new Rdn(new BasicAttributes(kind, checked(kind, value))));
            } else if (Set.of("C", "L", "O").contains(kind)) {
                throw new IllegalArgumentException("missing attribute");
            }
        }
        return new X500Principal(new LdapName(rdns).toString()).toString();
    }

    private static String checked(String kind, String value) {
        if (kind.equals("C")) {
            if (!COUNTRIES.contains(value)) {
                throw new IllegalArgumentException("country");
            }
            return value;
        }
        String trimmed = value.trim();
        int length = kind.equals("O") ? value.length() : trimmed.length();
        if (trimmed.isEmpty() || length >= (kind.equals("O") ? 128 : 64)) {
            throw new IllegalArgumentException("length");
        }
        return trimmed;
    }

    private static List<String> countries() {
        List<String> codes = new ArrayList<>(Arrays.asList(Locale.getISOCountries()));
        codes.add("ZZ");
        return codes;
    }

    private static Reader corda() throws ReflectiveOperationException {
        var parse = Class.forName("net.corda.v5.base.types.MemberX500Name").getMethod("parse", String.class);
        return text -> parse.invoke(null, text).toString();
    }

    private static String fromHex(String line) throws IOException {
        StringBuilder text = new StringBuilder();
        for (int at = 0; at < line.length(); at += 4) {
            text.append((char) Integer.parseInt(line.substring(at, at + 4), 16));
        }
        return text.toString();
    }

    private static String toHex(String text) {
        StringBuilder line = new StringBuilder();
        for (char unit : text.toCharArray()) {
            line.append(String.format("%04x", (int) unit));
        }
        return line.toString();
    }
}
