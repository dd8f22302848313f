package bitacora;

import java.io.Closeable;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.LinkedBlockingQueue;

/**
 * Stands between a client and a server, passes frames on and keeps them.
 *
 * <p>Clients remember what a server told them by its address, for as long as their process lives. Every tap has an address of its own, so
 * before a new one a client knows nothing.
 */
final class Tap implements Closeable {
  private final InetSocketAddress server;
  private final ServerSocket listening;
  /** Shared by the taps of a scenario. */
  private final List<Frame> frames;
  private final List<Socket> sockets = new CopyOnWriteArrayList<>();
  private final BlockingQueue<byte[]> answers = new LinkedBlockingQueue<>();
  private final List<byte[]> gathered = new ArrayList<>();
  private volatile int gather;

  Tap(InetSocketAddress server, List<Frame> frames) throws IOException {
    this.server = server;
    this.frames = frames;
    this.listening = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    start("accept", this::accept);
  }

  InetSocketAddress address() {
    return new InetSocketAddress(InetAddress.getLoopbackAddress(), listening.getLocalPort());
  }

  /**
   * Holds the next frames of the client back until there are so many, so that they are in flight together whatever the speed of the
   * machine; answers are let through in the opposite order.
   */
  synchronized void gather(int count) {
    gather = count;
  }

  /** Waits until so many frames are held back. */
  synchronized void awaitGathered(int count) throws InterruptedException {
    while (gather > 0 && gathered.size() < count) wait();
  }

  /** Ends all connections, as a network does. */
  void cut() throws IOException {
    for (Socket socket : sockets) socket.close();
    sockets.clear();
  }

  @Override
  public void close() throws IOException {
    listening.close();
    cut();
  }

  private void accept() throws IOException {
    while (true) {
      Socket client = listening.accept();
      Socket behind = new Socket(server.getAddress(), server.getPort());
      client.setTcpNoDelay(true);
      behind.setTcpNoDelay(true);
      sockets.add(client);
      sockets.add(behind);
      int connection;
      synchronized (frames) {
        connection = 1 + frames.stream().mapToInt(Frame::connection).max().orElse(0);
      }
      start("client", () -> fromClient(connection, client, behind));
      start("server", () -> fromServer(connection, behind, client));
    }
  }

  private void fromClient(int connection, Socket client, Socket behind) throws IOException, InterruptedException {
    try (client; behind) {
      for (byte[] frame; (frame = Frame.read(client.getInputStream())) != null; ) {
        keep(new Frame(connection, "client", frame));
        if (gather == 0) behind.getOutputStream().write(frame);
        else hold(connection, frame, client, behind);
      }
    }
  }

  private synchronized void hold(int connection, byte[] frame, Socket client, Socket behind) throws IOException, InterruptedException {
    gathered.add(frame);
    if (gathered.size() == gather) {
      List<byte[]> inTurn = new ArrayList<>();
      for (byte[] each : gathered) {
        behind.getOutputStream().write(each);
        inTurn.add(0, answers.take());
      }
      gather = 0;
      gathered.clear();
      for (byte[] each : inTurn) {
        keep(new Frame(connection, "server", each));
        client.getOutputStream().write(each);
      }
    }
    notifyAll();
  }

  private void fromServer(int connection, Socket behind, Socket client) throws IOException {
    try (client; behind) {
      for (byte[] frame; (frame = Frame.read(behind.getInputStream())) != null; ) {
        if (gather > 0) {
          answers.add(frame);
          continue;
        }
        keep(new Frame(connection, "server", frame));
        client.getOutputStream().write(frame);
      }
    }
  }

  private void keep(Frame frame) {
    synchronized (frames) {
      frames.add(frame);
    }
  }

  private interface Work {
    void run() throws IOException, InterruptedException;
  }

  private static void start(String name, Work work) {
    Thread thread = new Thread(() -> {
      try {
        work.run();
      } catch (IOException | InterruptedException ended) {
        // A socket was closed on either side: so is the pair.
      }
    }, "tap " + name);
    thread.setDaemon(true);
    thread.start();
  }
}
