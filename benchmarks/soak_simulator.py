"""The simulator as a separate process, which reads commands and writes answers as lines of JSON.

The commands are `["on", name, options]`, `["off", name]`, `["expire"]`, `["state"]` and
`["restart"]`, which breaks every connection.
"""

import json
import sys
from typing import Any

from copilot_proxy.simulator import SIMULATED_TOKEN, Simulator

_MAX_RECORDS = 200


def _run(simulator: Simulator, command: str, *arguments: Any) -> Any:
    state = simulator.state
    if command == "on":
        state.faults.on(arguments[0], **arguments[1])
    elif command == "off":
        state.faults.off(arguments[0])
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
    """Serve until standard input is closed."""
    with Simulator(catalogue="2026-03", pace=float(sys.argv[1])) as simulator:
        print(json.dumps({"url": simulator.url, "token": SIMULATED_TOKEN}), flush=True)
        for line in sys.stdin:
            if len(simulator.state.requests) > _MAX_RECORDS:
                simulator.state.recorder.clear()  # or the simulator would keep growing
            print(json.dumps(_run(simulator, *json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
