package bitacora;

import com.grayscaleconsulting.bitacora.rpc.avro.RPCHandlerAvro;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.avro.Protocol;
import org.apache.avro.ipc.specific.SpecificResponder;

/** Runs Avro's clients against Avro's servers and tells every call with its bytes. Two runs tell the same. */
final class Capture {
  private final Protocol evolved;
  private final List<Scenario> scenarios = new ArrayList<>();

  Capture(Protocol evolved) {
    this.evolved = evolved;
  }

  String run() throws Exception {
    new Handshakes(this).run();
    new Calls(this).run();
    Map<String, Object> told = new LinkedHashMap<>();
    told.put("avro", Netty.AVRO);
    told.put("scenarios", scenarios.stream().map(Scenario::told).toList());
    return Json.write(told);
  }

  Protocol evolved() {
    return evolved;
  }

  /** A scenario with a server of our protocol. */
  Scenario scenario(String name, String about) throws Exception {
    return kept(new Scenario(name, about, evolved, new EvolvedServer(evolved)));
  }

  /** A scenario with a server of the original. */
  Scenario originalScenario(String name, String about) throws Exception {
    return kept(new Scenario(name, about, evolved, new SpecificResponder(RPCHandlerAvro.class, new OriginalServer())));
  }

  Scenario kept(Scenario scenario) {
    scenarios.add(scenario);
    return scenario;
  }
}
