import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.security.KeyStore;
import java.util.zip.ZipFile;
import jdk.security.jarsigner.JarSigner;

/**
 * Signs JARs as `jarsigner` does, by the class that the tool is made of, in one process: a start for each JAR would take
 * most of the time.
 *
 * <p>Arguments: key store, its password, alias. For each line of input, "FROM TAB TO", one line of output: "signed", or
 * the exception.
 */
public final class JarBatch {
    public static void main(String[] arguments) throws Exception {
        char[] password = arguments[1].toCharArray();
        KeyStore store = KeyStore.getInstance("PKCS12");
        try (InputStream in = new FileInputStream(arguments[0])) {
            store.load(in, password);
        }
        var entry = (KeyStore.PrivateKeyEntry) store.getEntry(arguments[2], new KeyStore.PasswordProtection(password));
        JarSigner signer = new JarSigner.Builder(entry).signerName(arguments[2].toUpperCase()).build();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null; ) {
            String[] paths = line.split("\t");
            try (ZipFile from = new ZipFile(paths[0]); OutputStream to = new FileOutputStream(paths[1])) {
                signer.sign(from, to);
                System.out.println("signed");
            } catch (Exception refused) {
                System.out.println(refused);
            }
            System.out.flush();
        }
    }
}
