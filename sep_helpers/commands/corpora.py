"""`corpora list`, `corpora fetch NAME`: recordings to train and test with."""


def add(commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser("corpora", help="list and fetch public corpora of recordings",
                                 description="Public corpora, fetched, checked and made ready.")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="what can be fetched: size, licence, what it is for")
    listing.set_defaults(run=show)
    fetching = actions.add_parser("fetch", help="download a corpus, or a Google Drive link")
    fetching.add_argument("name", help="a name of `corpora list`, or a link to a shared file or "
                                       "folder on Google Drive")
    fetching.add_argument("--to", default="data", metavar="FOLDER",
                          help="where its folder goes (default: data)")
    fetching.add_argument("--archive", metavar="FILE",
                          help="take this archive, downloaded by other means")
    fetching.add_argument("--keep", action="store_true", help="keep the downloaded archive")
    fetching.add_argument("--url", action="append", default=[], dest="urls", metavar="ADDRESS",
                          help="another address of the archive (again for mirrors)")
    fetching.add_argument("--checksum", metavar="KIND:HEX",
                          help="md5:... or sha256:... of another version; '' accepts any")
    fetching.set_defaults(run=fetch)


def show(args) -> None:
    """Print the table, a corpus in three lines."""
    from sep_helpers import public_corpora

    for row in public_corpora.table().to_dict("records"):
        note = f"; {row['note']}" if row["note"] else ""
        size = row["size"].replace("not", "size not")
        print(f"{row['corpus']}: {row['holds']}\n    {row['for']}; {size}, {row['licence']}"
              f"{note}\n    {row['command']}\n")


def fetch(args) -> None:
    """Fetch one, and say what was got."""
    from sep_helpers import corpora, drive_files, public_corpora

    if drive_files.is_link(args.name):
        for path in drive_files.fetch(args.name, args.to):
            print(path)
        return
    folder = public_corpora.fetch(args.name, args.to, args.archive, args.keep, args.urls,
                                  args.checksum)
    table, kind = corpora.read_manifest(folder)
    print(f"{len(table)} recordings, {table.category.nunique()} {kind}s; in Python: "
          f"corpora.open_corpus({str(folder)!r})")
