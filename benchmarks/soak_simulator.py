"""The simulator as a process of the soak's: commands come in as lines of JSON, answers go out.

`["on", name, options]`, `["off", name]`, `["expire"]`, `["state"]`, `["restart"]` (which breaks
every connection).
"""

import json
import sys
from typing import Any

from copilot_proxy.simulator import SIMULATED_TOKEN, Simulator

_MOST_RECORDS = 200


def _do(simulator: Simulator, command: str, *given: Any) -> Any:
    state = simulator.state
    if command == "on":
        state.faults.on(given[0], **given[1])
    elif command == "off":
        state.faults.off(given[0])
    elif command == "expire":
        state.expire_tokens()
    elif command == "restart":
        simulator.stop()
        simulator.start()
    elif command == "state":
        return {"open": state.concurrency.now, "exchanges": state.exchanges}
    else:
        raise ValueError(command)
    return None


def main() -> None:
    """Serves until standard input is closed."""
    with Simulator(pace=float(sys.argv[1])) as simulator:
        print(json.dumps({"url": simulator.url, "token": SIMULATED_TOKEN}), flush=True)
        for line in sys.stdin:
            if len(simulator.state.requests) > _MOST_RECORDS:
                simulator.state.recorder.clear()  # what it remembers is no leak of the proxy's
            print(json.dumps(_do(simulator, *json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
