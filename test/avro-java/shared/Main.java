package bitacora;

import java.io.PrintStream;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.avro.Protocol;

/**
 * What Avro for Java puts on the wire, and how it fares with a node.
 *
 * <pre>
 * capture PROTOCOL            prints calls between Avro's own clients and servers, with all their bytes, as one JSON document
 * client PROTOCOL HOST PORT   calls a node as clients of the original's protocol and of ours; prints a line of JSON for each call
 * </pre>
 *
 * PROTOCOL is the file of our protocol, docs/avro/RPCHandlerAvro.avpr.
 */
public final class Main {
  private Main() {}

  public static void main(String[] arguments) throws Exception {
    // Standard output is what other programs read: nothing that a library prints may get into it.
    PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    System.setOut(System.err);
    try {
      Protocol evolved = Protocol.parse(Files.readString(Path.of(arguments[1])));
      if (arguments[0].equals("capture")) out.println(new Capture(evolved).run());
      else new Session(evolved, new InetSocketAddress(arguments[2], Integer.parseInt(arguments[3])), out).run();
    } catch (Throwable error) {
      error.printStackTrace();
      System.exit(1);
    }
    // Avro's servers leave threads behind that nothing ends.
    System.exit(0);
  }
}
