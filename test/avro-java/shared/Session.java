package bitacora;

import java.io.IOException;
import java.io.PrintStream;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.apache.avro.Protocol;

/** Calls one node as its Java clients do, and prints a line for each call: its step, message, request, and what came of it. */
final class Session {
  private final Protocol evolved;
  private final InetSocketAddress node;
  private final PrintStream out;

  Session(Protocol evolved, InetSocketAddress node, PrintStream out) {
    this.evolved = evolved;
    this.node = node;
    this.out = out;
  }

  void run() throws Exception {
    try (Client client = Client.original(node)) {
      // First of all: later on this process knows the node's protocol and does not ask.
      ping(client);
      new OriginalCalls(this, client).run();
    }
    // The node's hash is known by now, and this client's is not.
    try (Client client = Client.originalWithJavaStrings(node)) {
      call("java strings", client, "setValue", "java-strings", "größer");
      call("java strings", client, "getValue", "java-strings");
    }
    try (Client client = Client.original(node)) {
      new Load(this, client, "setValue", "getValue").run();
    }
    try (Client client = evolved(node)) {
      new OurCalls(this, client).run();
    }
    try (Client client = evolved(node)) {
      new Load(this, client, "setRecord", "getRecord").run();
    }
    reconnect();
    metadata();
    later();
  }

  Protocol evolved() {
    return evolved;
  }

  Map<String, Object> call(String step, Client client, String message, Object... parameters) throws IOException {
    Map<String, Object> told = client.call(message, parameters);
    tell(step, told);
    return told;
  }

  void tell(String step, Map<String, Object> what) {
    Map<String, Object> told = new LinkedHashMap<>();
    told.put("step", step);
    told.putAll(what);
    synchronized (out) {
      out.println(Json.write(told));
    }
  }

  private Client evolved(InetSocketAddress address) throws IOException {
    return Client.generic("evolved", evolved, address);
  }

  private void ping(Client client) throws IOException {
    Map<String, Object> told = new LinkedHashMap<>();
    told.put("client", client.name);
    told.put("response", new TreeSet<>(client.requestor.getRemote().getMessages().keySet()));
    tell("ping", told);
  }

  /** The network ends a connection; the client goes on with another. A new one follows, at a place that is known and at one that is not. */
  private void reconnect() throws Exception {
    List<Frame> unused = new ArrayList<>();
    try (Tap tap = new Tap(node, unused); Client first = Client.original(tap.address()); Client second = evolved(tap.address())) {
      for (Client client : List.of(first, second)) {
        call("before the cut", client, "getValue", "java-strings");
      }
      tap.cut();
      for (Client client : List.of(first, second)) {
        while (client.transceiver.isConnected()) Thread.sleep(5);
        call("after the cut", client, "getValue", "java-strings");
      }
      try (Client third = evolved(tap.address())) {
        call("new connection", third, "getValue", "java-strings");
      }
    }
    try (Tap elsewhere = new Tap(node, unused); Client client = evolved(elsewhere.address())) {
      call("new address", client, "getValue", "java-strings");
    }
  }

  private void metadata() throws Exception {
    try (Client client = evolved(node)) {
      client.requestor.addRPCPlugin(new Metadata());
      call("metadata", client, "getValue", "java-strings");
      call("metadata", client, "getValue", "absent");
    }
  }

  /** A client of a protocol that has more messages than the node. */
  private void later() throws Exception {
    try (Client client = Client.generic("later", Later.than(evolved), node)) {
      call("unknown message", client, "getNothing");
      call("after it", client, "getValue", "java-strings");
    }
  }
}
