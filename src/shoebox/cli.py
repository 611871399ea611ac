"""The command line: `shoebox demo`, `collect`, `scan`, `inspect`, `check`, `pack`, `export` and `serve`."""

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

    collect = commands.add_parser("collect", help="bring pictures from the web or this machine, with their origin",
                                  description="Bring pictures into class folders. Repeat a command to go on with it.")
    collect.add_argument("folder", type=Path, help="the data set; made if it is not there")
    collect.add_argument("--class", dest="classes", action="append", default=[], metavar="CLASS=QUERY",
                         help='for each class, what to ask for: --class "grizzly=grizzly bear"')
    collect.add_argument("--source", action="append", default=[], metavar="NAME",
                         help="ddgs, openverse, commons or serpapi; may be repeated (ddgs, unless files are given)")
    collect.add_argument("--urls", action="append", default=[], type=Path, metavar="FILE",
                         help="a text, CSV or TSV file of addresses")
    collect.add_argument("--from", dest="places", action="append", default=[], type=Path, metavar="PATH",
                         help="a folder, zip or tar file of pictures")
    collect.add_argument("--inbox", action="append", default=[], type=Path, metavar="FOLDER",
                         help="what visitors of an app left, under the class that each of them named")
    collect.add_argument("--per-class", type=int, default=None, help="addresses per class (150; of files: all)")
    collect.add_argument("--licence", choices=("open", "commercial", "modification"), default=None,
                         help="only pictures of which the source knows that this is allowed; a list names licences in "
                              "a column, what --from and --inbox bring has none")
    collect.add_argument("--max-px", type=int, default=None, help="make larger pictures smaller, to this longer side")
    collect.add_argument("--contact", default=None, help="how hosts can reach you; sent along with every request")
    collect.add_argument("--allow-private", action="store_true", help="also ask servers of this machine and network")
    collect.add_argument("--csv", type=Path, default=None, help="write what became of every address to this file")
    collect.set_defaults(run=_collect)

    scan = commands.add_parser("scan", help="check a folder of class folders and say what was left out, and why")
    scan.add_argument("folder", type=Path)
    scan.set_defaults(run=_scan)

    inspect = commands.add_parser("inspect", help="what a bundle says of itself, and whether its files are as "
                                  "exported; nothing is loaded")
    inspect.add_argument("model", type=Path)
    inspect.set_defaults(run=_inspect)

    check = commands.add_parser("check", help="a bundle's files, and its answers on the pictures in it")
    check.add_argument("model", type=Path)
    check.add_argument("--precision", choices=("full", "int8"), default="full", help="of the weights (%(default)s)")
    check.set_defaults(run=_check)

    pack = commands.add_parser("pack", help="one zip of a bundle, and its SHA-256 beside it")
    pack.add_argument("model", type=Path)
    pack.add_argument("zip", type=Path, nargs="?", default=None, help="<model>.zip unless given")
    pack.set_defaults(run=_pack)

    export = commands.add_parser("export", aliases=["convert"], help="a bundle from what learn.export() wrote, checked "
                                 "on the data set's pictures; after asking, as opening a pickle runs its code")
    export.add_argument("pickle", type=Path, help="the export.pkl of a fastai learner")
    export.add_argument("data", type=Path, help="the class folders that it was trained on")
    export.add_argument("model", type=Path, help="where the bundle goes")
    export.add_argument("--name", default=None, help="what people see (the folder's name)")
    export.add_argument("--examples", type=int, default=0, metavar="N",
                        help="pictures that travel with it, for shoebox check (%(default)s)")
    export.add_argument("--int8", action="store_true", help="weights of 8 bits, too, if they answer alike")
    export.add_argument("--i-trust-it", action="store_true", help="do not ask")
    export.set_defaults(run=_export)

    serve = commands.add_parser("serve", help="serve an app notebook with Voilà")
    serve.add_argument("notebook", type=Path)
    serve.add_argument("--model", default=None, help="the bundle that the app answers with: a folder, or the address "
                       "of a packed one (https://..., hf://owner/name/file.zip), which is fetched once and kept")
    serve.add_argument("--sha256", default=None, help="of the zip at that address, from its .sha256 file")
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

    if not options.no_serve:
        from shoebox.apps._serve import checked_notebook

        checked_notebook(options.notebook)  # before the training, not after it
    run(options.data, options.model, seed=options.seed)
    if options.no_serve:
        return 0
    options.ip, options.base_url, options.max_visitors, options.sha256 = "127.0.0.1", "/", None, None
    options.preheat, options.idle_minutes, options.embed_in = None, 15, []
    options.port = _free_port(DEFAULT_PORT) if options.port is None else options.port
    return _serve(options)


def _collect(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from shoebox.collect import WEB_WARNING, Archive, Event, Folder, UrlList, collect

    named = [text.partition("=") for text in options.classes]
    classes = {label.strip(): query.strip() if equals else label.strip() for label, equals, query in named}
    given = [*map(UrlList, options.urls), *[Folder(p) if p.is_dir() else Archive(p) for p in options.places],
             *map(_inbox, options.inbox)]
    names = options.source or ([] if given else ["ddgs"])
    if names:
        print(WEB_WARNING, "\n", file=sys.stderr)
    saved, totals = 0, dict[str, int]()
    with tqdm(unit=" addresses", dynamic_ncols=True, leave=False) as bar:

        def watch(event: Event) -> None:
            nonlocal saved
            if event.kind == "note":
                bar.write(f"note: {event.sentence}", file=sys.stderr)
            if event.kind == "found":
                totals[event.label] = event.total
                bar.total = sum(totals.values())
                bar.set_description(event.label)
            if event.record is not None:
                saved += event.record.state == "added"
                bar.update()

        try:
            report = collect(options.folder, classes or None, per_class=options.per_class, source=[*names, *given],
                             licence=options.licence, max_px=options.max_px, contact=options.contact,
                             allow_private=options.allow_private, watch=watch)
        except KeyboardInterrupt:
            print(f"\n{saved} pictures are saved in {options.folder}; what is saved is not fetched again.",
                  file=sys.stderr)
            raise
    print(report)
    for label, n in report.counts().items():
        print(f"  {label}: {n['added']} of {n['asked']} addresses")
    if report.sites():
        print("  from " + ", ".join(f"{site} ({n})" for site, n in list(report.sites().items())[:8]))
    if options.csv is not None:
        report.to_csv(options.csv)
    return 0 if any(record.state in ("added", "duplicate") for record in report.records) else 1


def _inbox(folder: Path) -> shoebox.Inbox:
    if not (folder / "inbox.sqlite").is_file():
        raise ShoeboxError(f"There is no inbox in {str(folder)!r}. Give the folder that shoebox.app(..., feedback=...) "
                           "names; it is made with the first picture.")
    return shoebox.Inbox(folder)


def _scan(options: argparse.Namespace) -> int:
    report = shoebox.Dataset(options.folder).report
    print(report)
    for item in report.skipped[10:]:
        print(f"  left out: {item.sentence}")
    return 0


def _inspect(options: argparse.Namespace) -> int:
    from shoebox.bundle._check import file_states

    print(shoebox.inspect(options.model))
    for name, state in file_states(options.model).items():
        print(f"  {name}: {state}")
    return 0


def _check(options: argparse.Namespace) -> int:
    print(shoebox.check(options.model, precision=options.precision))
    return 0


def _pack(options: argparse.Namespace) -> int:
    place, sha256 = shoebox.pack(options.model, options.zip)
    print(f"Wrote {place} ({place.stat().st_size / 1e6:.1f} MB). SHA-256, also in {place.name}.sha256:\n{sha256}")
    return 0


def _export(options: argparse.Namespace) -> int:
    from shoebox.bundle._convert import WARNING

    trusted = options.i_trust_it
    if not trusted and options.pickle.is_file() and sys.stdin.isatty():
        trusted = input(f"{options.pickle.name} {WARNING}\nOpen it? Type yes: ").strip().lower() == "yes"
    print(shoebox.convert(options.pickle, options.data, options.model, i_trust_it=trusted, name=options.name,
                          examples=options.examples, int8=options.int8))
    return 0


def _serve(options: argparse.Namespace) -> int:
    from shoebox.apps import serve

    print("Starting the app with Voilà ...", flush=True)

    def say(url: str) -> None:
        print(f"\nThe app is at {url}  (Ctrl-C stops it)", flush=True)

    return serve(options.notebook, model=options.model, sha256=options.sha256, port=options.port, ip=options.ip,
                 base_url=options.base_url, max_visitors=options.max_visitors, preheat=options.preheat,
                 idle_s=options.idle_minutes * 60, embed_in=options.embed_in, on_ready=say)


def _free_port(wanted: int) -> int:
    import socket

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
