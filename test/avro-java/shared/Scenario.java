package bitacora;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.avro.Protocol;
import org.apache.avro.ipc.Responder;
import org.apache.avro.ipc.Server;

/** One server, the clients that call it one after another through a tap, their calls, and every frame of both directions. */
final class Scenario {
  final List<Map<String, Object>> calls = Collections.synchronizedList(new ArrayList<>());
  private final String name;
  private final String about;
  private final Protocol evolved;
  private final Server server;
  private final List<Frame> frames = new ArrayList<>();
  private Tap tap;

  Scenario(String name, String about, Protocol evolved, Responder responder) throws Exception {
    this.name = name;
    this.about = about;
    this.evolved = evolved;
    this.server = Netty.serve(responder);
    newAddress();
  }

  /** From here on clients reach the server by an address of which they know nothing. */
  void newAddress() throws IOException {
    tap = new Tap(new InetSocketAddress(InetAddress.getLoopbackAddress(), server.getPort()), frames);
  }

  Tap tap() {
    return tap;
  }

  Client original() throws IOException {
    return Client.original(tap.address());
  }

  Client originalWithJavaStrings() throws IOException {
    return Client.originalWithJavaStrings(tap.address());
  }

  Client evolved() throws IOException {
    return Client.generic("evolved", evolved, tap.address());
  }

  void call(Client client, String message, Object... parameters) throws IOException {
    calls.add(client.call(message, parameters));
  }

  /** Asks for the server's protocol by the call that is none: an empty message name. */
  void ping(Client client) throws IOException {
    Map<String, Object> told = new LinkedHashMap<>();
    told.put("client", client.name);
    told.put("message", "");
    told.put("response", client.requestor.getRemote().getMessages().keySet());
    calls.add(told);
  }

  Map<String, Object> told() {
    Map<String, Object> told = new LinkedHashMap<>();
    told.put("name", name);
    told.put("about", about);
    told.put("calls", calls);
    synchronized (frames) {
      told.put("frames", frames.stream().map(Frame::told).toList());
    }
    return told;
  }
}
