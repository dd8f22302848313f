package bitacora;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.avro.Protocol;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.ipc.CallFuture;

/** Many calls at once on one connection, from several threads that also race for the handshake. Prints a line for each thread. */
final class Load {
  private static final int THREADS = 8;
  private static final int CALLS = 200;
  /** Java's clients know no time limit of their own. */
  private static final long LIMIT_SECONDS = 60;
  private static final int WRONG_TOLD = 3;

  private final Session session;
  private final Client client;
  private final String set;
  private final String get;

  Load(Session session, Client client, String set, String get) {
    this.session = session;
    this.client = client;
    this.set = set;
    this.get = get;
  }

  void run() throws InterruptedException {
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < THREADS; i++) {
      String name = "thread-" + i;
      threads.add(new Thread(() -> lane(name)));
    }
    for (Thread thread : threads) thread.start();
    for (Thread thread : threads) thread.join();
  }

  /** Half of the calls write, half read what those wrote; neither half waits for one answer before it sends the next call. */
  private void lane(String name) {
    List<String> wrong = new ArrayList<>();
    try {
      for (boolean writing : new boolean[] {true, false}) {
        List<CallFuture<Object>> answers = new ArrayList<>();
        for (int i = 0; i < CALLS / 2; i++) answers.add(writing ? write(key(name, i)) : client.send(get, read(key(name, i))));
        for (int i = 0; i < answers.size(); i++) {
          Object answer = answers.get(i).get(LIMIT_SECONDS, TimeUnit.SECONDS);
          if (!writing && !value(key(name, i)).equals(text(answer))) wrong.add(key(name, i) + ": " + answer);
        }
      }
    } catch (Exception error) {
      wrong.add(error.toString());
    }
    Map<String, Object> told = new LinkedHashMap<>();
    told.put("client", client.name);
    told.put("thread", name);
    told.put("calls", CALLS);
    told.put("wrong", wrong.size() > WRONG_TOLD ? wrong.subList(0, WRONG_TOLD) : wrong);
    session.tell("load", told);
  }

  private String key(String thread, int number) {
    return client.name + "-" + thread + "-" + number;
  }

  private static String value(String key) {
    return "value of " + key;
  }

  private CallFuture<Object> write(String key) throws Exception {
    if (set.equals("setValue")) return client.send(set, key, value(key));
    return client.send(set, Values.put(session.evolved(), key, value(key), "", 0L));
  }

  private Object[] read(String key) {
    Protocol evolved = session.evolved();
    return get.equals("getValue") ? new Object[] {key} : new Object[] {key, Values.nothingSeen(evolved)};
  }

  /** The text in an answer of either message. */
  private static String text(Object answer) {
    if (!(answer instanceof GenericRecord record)) return String.valueOf(answer);
    return record.get("found") instanceof GenericRecord found ? Values.text(found.get("value")) : null;
  }
}
