import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.CodeSigner;
import java.security.MessageDigest;
import java.util.Enumeration;
import java.util.HexFormat;
import java.util.Map;
import java.util.jar.Attributes;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.jar.JarInputStream;
import java.util.jar.Manifest;

/**
 * What Java reads in archives, by both of its readers. Each line of input is a path; the answer is lines of words
 * separated by tabs, of which texts are hexadecimal UTF-8, and a line "done".
 *
 * <p>"file" and "stream" give an entry: name, size, SHA-256, number of signers. "main" and "entry" give an attribute of
 * the manifest as JarFile reads it, "stream-main" as JarInputStream does. "file-error" and "stream-error" name the
 * exception that ended a reader.
 */
public final class ArchiveOracle {
    private static PrintStream out;

    public static void main(String[] arguments) throws Exception {
        out = new PrintStream(System.out, false, "US-ASCII");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null; ) {
            try {
                readFile(new File(line));
            } catch (Exception | Error problem) {
                say("file-error", hex(problem.toString()));
            }
            try {
                readStream(Path.of(line));
            } catch (Exception | Error problem) {
                say("stream-error", hex(problem.toString()));
            }
            say("done");
        }
        out.flush();
    }

    private static void readFile(File path) throws Exception {
        try (JarFile jar = new JarFile(path, true)) {
            Manifest manifest = jar.getManifest();
            for (Enumeration<JarEntry> entries = jar.entries(); entries.hasMoreElements(); ) {
                JarEntry entry = entries.nextElement();
                try (InputStream content = jar.getInputStream(entry)) {
                    sayEntry("file", entry, content);
                }
            }
            if (manifest != null) {
                sayAttributes("main", null, manifest.getMainAttributes());
                for (Map.Entry<String, Attributes> section : manifest.getEntries().entrySet()) {
                    sayAttributes("entry", section.getKey(), section.getValue());
                }
            }
        }
    }

    private static void readStream(Path path) throws Exception {
        try (JarInputStream jar = new JarInputStream(Files.newInputStream(path), true)) {
            for (JarEntry entry; (entry = jar.getNextJarEntry()) != null; ) {
                sayEntry("stream", entry, jar);
            }
            if (jar.getManifest() != null) {
                sayAttributes("stream-main", null, jar.getManifest().getMainAttributes());
            }
        }
    }

    private static void sayEntry(String kind, JarEntry entry, InputStream content) throws Exception {
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        byte[] buffer = new byte[1 << 16];
        long size = 0;
        for (int count; (count = content.read(buffer)) > 0; size += count) {
            digest.update(buffer, 0, count);
        }
        CodeSigner[] signers = entry.getCodeSigners();
        String sum = HexFormat.of().formatHex(digest.digest());
        say(kind, hex(entry.getName()), Long.toString(size), sum, Integer.toString(signers == null ? 0 : signers.length));
    }

    private static void sayAttributes(String kind, String section, Attributes attributes) throws IOException {
        for (Map.Entry<Object, Object> attribute : attributes.entrySet()) {
            String name = attribute.getKey().toString();
            String value = (String) attribute.getValue();
            if (section == null) {
                say(kind, hex(name), hex(value));
            } else {
                say(kind, hex(section), hex(name), hex(value));
            }
        }
    }

    private static void say(String... words) {
        out.println(String.join("\t", words));
    }

    private static String hex(String text) {
        return "x" + HexFormat.of().formatHex(text.getBytes(StandardCharsets.UTF_8));
    }
}
