package bitacora;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import org.apache.avro.ipc.Responder;
import org.apache.avro.ipc.Server;
import org.apache.avro.ipc.Transceiver;
import org.apache.avro.ipc.netty.NettyServer;
import org.apache.avro.ipc.netty.NettyTransceiver;

/** Avro 1.12.1's Netty transport (Netty 4), where it stands in that version. */
final class Netty {
  static final String AVRO = "1.12.1";

  private Netty() {}

  static Transceiver connect(InetSocketAddress address) throws IOException {
    return new NettyTransceiver(address);
  }

  static Server serve(Responder responder) throws InterruptedException {
    return new NettyServer(responder, new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
  }
}
