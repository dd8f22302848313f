package bitacora;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import org.apache.avro.ipc.NettyServer;
import org.apache.avro.ipc.NettyTransceiver;
import org.apache.avro.ipc.Responder;
import org.apache.avro.ipc.Server;
import org.apache.avro.ipc.Transceiver;

/** Avro 1.7.7's Netty transport (Netty 3), where it stands in that version. */
final class Netty {
  static final String AVRO = "1.7.7";

  private Netty() {}

  static Transceiver connect(InetSocketAddress address) throws IOException {
    return new NettyTransceiver(address);
  }

  static Server serve(Responder responder) {
    return new NettyServer(responder, new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
  }
}
