"""A child process that follows each request's instructions, to test the sidecar."""

import json
import os
import signal
import sys
import threading
import time
from typing import Any

windows: dict[int, int] = {}
changed = threading.Condition()


def say(**message: Any) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def flood(id: int, count: int) -> None:
    """Send `count` events, as the window allows."""
    for number in range(count):
        with changed:
            while windows.get(id, 0) <= 0:
                changed.wait()
            windows[id] -= 1
        say(id=id, event={"number": number})
    say(id=id, end=True)


def handle(line: dict[str, Any]) -> None:
    id, what = line["ask"], line["what"]
    windows[id] = line["window"]
    if what == "echo":
        say(id=id, event={"said": line["text"]})
        say(id=id, end=True)
    elif what == "ghosts":
        say(id=id, event={"said": "all"})
        say(id=id, end=True)
        say(id=id, event={"said": "more"})
        say(id=10_000, event={"said": "whose"})
    elif what == "flood":
        threading.Thread(target=flood, args=(id, line["count"]), daemon=True).start()
    elif what == "begin":
        say(id=id, event={"pid": os.getpid()})
    elif what == "die":
        os._exit(1)
    elif what == "stall":
        # Stop reading and writing.
        time.sleep(60)
    elif what == "garbage":
        sys.stdout.write("not ours\n")
        sys.stdout.flush()
    elif what == "long":
        say(id=id, event={"text": "x" * line["size"]})
    elif what == "words":
        print(line["text"], file=sys.stderr, flush=True)
        say(id=id, event={})
    elif what == "environment":
        say(id=id, event={"environ": dict(os.environ), "arguments": sys.argv})


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if "--fail" in sys.argv:
        sys.exit(1)
    if "--damaged" in sys.argv:
        say(damaged=True)
        sys.exit(1)
    say(ready=True)
    for text in sys.stdin:
        line = json.loads(text)
        if "ask" in line:
            handle(line)
        elif "more" in line:
            with changed:
                windows[line["more"]] += line["window"]
                changed.notify_all()
        elif "drop" in line:
            print(f"dropped {line['drop']}", file=sys.stderr, flush=True)
        elif "ping" in line:
            say(pong=line["ping"])


if __name__ == "__main__":
    main()
