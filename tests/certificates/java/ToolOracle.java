import java.io.*;
import java.nio.charset.StandardCharsets;
import java.util.*;
import javax.naming.ldap.LdapName;
import javax.naming.ldap.Rdn;

/**
 * Runs keytool and jarsigner as often as asked, in one process, since starting Java for each takes a second.
 *
 * Each line of standard input is a command with its words, separated by tabs. The answer is one line: the exit code,
 * a tab, and what the tool wrote, in base64.
 */
public class ToolOracle {
    static final class Exit extends SecurityException {
        final int code;
        Exit(int code) { this.code = code; }
    }

    @SuppressWarnings("removal")
    static final class NoExit extends SecurityManager {
        @Override public void checkExit(int code) { throw new Exit(code); }
        @Override public void checkPermission(java.security.Permission permission) { }
        @Override public void checkPermission(java.security.Permission permission, Object context) { }
    }

    @SuppressWarnings("removal")
    public static void main(String[] args) throws Exception {
        PrintStream out = System.out;
        PrintStream err = System.err;
        System.setSecurityManager(new NoExit());
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null; ) {
            String[] words = line.split("\t", -1);
            String[] rest = Arrays.copyOfRange(words, 1, words.length);
            ByteArrayOutputStream said = new ByteArrayOutputStream();
            PrintStream capture = new PrintStream(said, true, StandardCharsets.UTF_8);
            System.setOut(capture);
            System.setErr(capture);
            int code = 0;
            try {
                switch (words[0]) {
                    case "keytool" -> sun.security.tools.keytool.Main.main(rest);
                    case "jarsigner" -> new sun.security.tools.jarsigner.Main().run(rest);
                    case "subject" -> capture.print(subject(rest[0]));
                    case "property" -> System.setProperty(rest[0], rest[1]);
                    default -> throw new IllegalArgumentException(words[0]);
                }
            } catch (Exit exit) {
                code = exit.code;
            } catch (Throwable broken) {
                code = 99;
                broken.printStackTrace(capture);
            }
            capture.flush();
            System.setOut(out);
            System.setErr(err);
            out.println(code + "\t" + Base64.getEncoder().encodeToString(said.toByteArray()));
            out.flush();
        }
    }

    /** The text of a certificate's subject that Corda hashes: some attributes, in a fixed order. */
    static String subject(String file) throws Exception {
        try (InputStream in = new FileInputStream(file)) {
            var read = java.security.cert.CertificateFactory.getInstance("X.509").generateCertificate(in);
            String name = ((java.security.cert.X509Certificate) read).getSubjectX500Principal().getName();
            List<String> order = List.of("CN", "OU", "O", "L", "ST", "C");
            List<Rdn> kept = new ArrayList<>(new LdapName(name).getRdns());
            kept.removeIf(rdn -> !order.contains(rdn.getType()));
            kept.sort(Comparator.comparingInt(rdn -> order.indexOf(rdn.getType())));
            return new LdapName(kept).toString();
        }
    }
}
