"""The command line: `shoebox demo`, `scan`, `inspect` and `serve`."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import shoebox
from shoebox.errors import ShoeboxError

__all__ = ["main"]

DEFAULT_PORT = 8866
_ABOUT = "From a shoebox of photos to a classifier you can share."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command: 0 when it worked, 1 with a sentence on stderr when not, 2 for unknown words, 130 interrupted."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return int(options.run(options) or 0)
    except ShoeboxError as error:
        print(f"shoebox: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. Your files are whole; run the same command again (a training starts over).", file=sys.stderr)
        return 130


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="shoebox", description=_ABOUT)
    parser.add_argument("--version", action="version", version=f"shoebox {shoebox.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="the whole way on the embedded digits, from pictures to a served app")
    demo.add_argument("--data", type=Path, default=Path("work/demo"), help="where the data set goes (%(default)s)")
    demo.add_argument("--model", type=Path, default=Path("models/demo"), help="where the bundle goes (%(default)s)")
    demo.add_argument("--notebook", type=Path, default=Path("notebooks/app.ipynb"), help="what is served (%(default)s)")
    demo.add_argument("--seed", type=int, default=42, help="of the planted faults and the training (%(default)s)")
    demo.add_argument("--no-serve", action="store_true", help="stop before serving")
    demo.add_argument("--port", type=int, default=None, help=f"{DEFAULT_PORT}, or a free one when that is taken")
    demo.set_defaults(run=_demo)

    scan = commands.add_parser("scan", help="check a folder of class folders and say what was left out, and why")
    scan.add_argument("folder", type=Path)
    scan.set_defaults(run=_scan)

    inspect = commands.add_parser("inspect", help="what a bundle says of itself; nothing is loaded")
    inspect.add_argument("model", type=Path)
    inspect.set_defaults(run=_inspect)

    serve = commands.add_parser("serve", help="serve an app notebook with Voilà")
    serve.add_argument("notebook", type=Path)
    serve.add_argument("--model", type=Path, default=None, help="the bundle that the app answers with")
    serve.add_argument("--port", type=int, default=DEFAULT_PORT, help="%(default)s")
    serve.add_argument("--ip", default="127.0.0.1", help="address to listen on (%(default)s: this machine only)")
    serve.add_argument("--base-url", default="/", help="path in front of the app, for reverse proxies (%(default)s)")
    serve.add_argument("--max-visitors", type=int, help="further ones are asked to wait (what fits into memory)")
    serve.add_argument("--preheat", type=int, help="kernels kept ready for the next visitors (what fits into memory)")
    serve.add_argument("--idle-minutes", type=int, default=15, help="then a page is put to sleep (%(default)s)")
    serve.add_argument("--embed-in", action="append", default=[], metavar="HOST",
                       help="a host that may show the app in a frame, like https://huggingface.co; may be repeated")
    serve.set_defaults(run=_serve)
    return parser


def _demo(options: argparse.Namespace) -> int:
    from shoebox.tour import run

    run(options.data, options.model, seed=options.seed)
    if options.no_serve:
        return 0
    options.ip, options.base_url, options.max_visitors = "127.0.0.1", "/", None
    options.preheat, options.idle_minutes, options.embed_in = None, 15, []
    options.port = _free_port(DEFAULT_PORT) if options.port is None else options.port
    return _serve(options)


def _scan(options: argparse.Namespace) -> int:
    report = shoebox.Dataset(options.folder).report
    print(report)
    for item in report.skipped[10:]:
        print(f"  left out: {item.sentence}")
    return 0


def _inspect(options: argparse.Namespace) -> int:
    print(shoebox.inspect(options.model))
    return 0


def _serve(options: argparse.Namespace) -> int:
    from shoebox.apps import serve

    print("Starting the app with Voilà ...", flush=True)

    def say(url: str) -> None:
        print(f"\nThe app is at {url}  (Ctrl-C stops it)", flush=True)

    return serve(options.notebook, model=options.model, port=options.port, ip=options.ip, base_url=options.base_url,
                 max_visitors=options.max_visitors, preheat=options.preheat, idle_s=options.idle_minutes * 60,
                 embed_in=options.embed_in, on_ready=say)


def _free_port(wanted: int) -> int:
    import socket

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
