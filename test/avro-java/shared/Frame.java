package bitacora;

import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;

/**
 * A frame of Avro's Netty transport as it travelled: serial and count, then buffers, each after its length.
 *
 * <p>How a stream is cut into packets is chance; what Java puts into one frame, and how it cuts it into buffers, is not.
 */
record Frame(int connection, String from, byte[] bytes) {
  /** The next frame of a stream, or null at its end. */
  static byte[] read(InputStream stream) throws IOException {
    DataInputStream in = new DataInputStream(stream);
    List<byte[]> parts = new ArrayList<>();
    try {
      parts.add(in.readNBytes(8));
      if (parts.get(0).length < 8) return null;
      int count = ByteBuffer.wrap(parts.get(0)).getInt(4);
      for (int i = 0; i < count; i++) {
        int length = in.readInt();
        parts.add(ByteBuffer.allocate(4).putInt(length).array());
        parts.add(in.readNBytes(length));
      }
    } catch (EOFException end) {
      return null;
    }
    int length = parts.stream().mapToInt(part -> part.length).sum();
    ByteBuffer whole = ByteBuffer.allocate(length);
    parts.forEach(whole::put);
    return whole.array();
  }

  /** Connection, sender, and the bytes in hex. */
  String told() {
    return connection + " " + from + " " + HexFormat.of().formatHex(bytes);
  }
}
