package bitacora;

import org.apache.avro.Protocol;

/** How Java's clients and servers make each other's acquaintance. */
final class Handshakes {
  private final Capture capture;

  Handshakes(Capture capture) {
    this.capture = capture;
  }

  void run() throws Exception {
    unknownClient();
    knownServer();
    wrongGuess();
    otherClientOfKnownServer();
    sameProtocol();
    reconnect();
    ping();
    metadata();
  }

  private void unknownClient() throws Exception {
    Scenario it = capture.scenario(
        "unknown client", "The server does not know the client's protocol: NONE, the call again with the protocol, BOTH; then no handshake");
    try (Client client = it.original()) {
      it.call(client, "getValue", "hello");
      it.call(client, "getValue", "absent");
    }
  }

  private void knownServer() throws Exception {
    Scenario it = capture.scenario("known server", "On its second connection a client names the server's hash: BOTH at once");
    try (Client client = it.original()) {
      it.call(client, "getValue", "hello");
    }
    try (Client client = it.original()) {
      it.call(client, "getValue", "hello");
    }
  }

  private void wrongGuess() throws Exception {
    Scenario it = capture.scenario("wrong guess", "The server knows the client's protocol and the client guesses the server's wrong: CLIENT");
    try (Client client = it.original()) {
      it.call(client, "getValue", "hello");
    }
    it.newAddress();
    try (Client client = it.original()) {
      it.call(client, "getValue", "hello");
      it.call(client, "delete", "hello");
    }
  }

  private void otherClientOfKnownServer() throws Exception {
    Scenario it = capture.scenario(
        "other client of a known server", "The server's hash is right and the client's unknown, as after a server's restart: NONE, with the server's protocol");
    try (Client client = it.original()) {
      it.call(client, "getValue", "hello");
    }
    try (Client client = it.originalWithJavaStrings()) {
      it.call(client, "getValue", "hello");
    }
  }

  private void sameProtocol() throws Exception {
    Scenario it = capture.scenario("same protocol", "Both have one text, so the first guess is right: BOTH at once");
    try (Client client = it.evolved()) {
      it.call(client, "getValue", "hello");
    }
  }

  private void reconnect() throws Exception {
    Scenario it = capture.scenario("reconnect", "A connection is lost; the same client connects again: a new handshake, and serials go on");
    try (Client client = it.original()) {
      it.call(client, "getValue", "hello");
      it.tap().cut();
      while (client.transceiver.isConnected()) Thread.sleep(5);
      it.call(client, "getValue", "hello");
    }
  }

  private void ping() throws Exception {
    Scenario it = capture.scenario(
        "ping", "A call with an empty name asks for the handshake alone: with an unknown client (NONE), then with a known one (CLIENT)");
    try (Client client = it.original()) {
      it.ping(client);
      it.call(client, "getValue", "hello");
    }
    it.newAddress();
    try (Client client = it.original()) {
      it.ping(client);
      it.call(client, "getValue", "hello");
    }
  }

  private void metadata() throws Exception {
    Protocol evolved = capture.evolved();
    EvolvedServer server = new EvolvedServer(evolved);
    server.addRPCPlugin(new Metadata());
    Scenario it = capture.kept(new Scenario("metadata", "Plugins on both sides add to the handshake and to each call", evolved, server));
    try (Client client = it.evolved()) {
      client.requestor.addRPCPlugin(new Metadata());
      it.call(client, "getValue", "hello");
      it.call(client, "getValue", "absent");
    }
  }
}
