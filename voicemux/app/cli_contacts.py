"""The command `voicemux contacts`: lists and changes whom the user knows."""

import json

import click

from voicemux.app.exits import exits
from voicemux.errors import SecurityError


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Show it as JSON.")
@click.pass_context
def contacts(context: click.Context, as_json: bool) -> None:
    """List, rename and forget your contacts, whose keys you know, and change their addresses."""
    if context.invoked_subcommand:
        context.obj = as_json
        return
    with exits():
        from dataclasses import asdict

        from voicemux.console.printable import printable
        from voicemux.security.contacts import Contacts
        from voicemux.security.files import usual_folder

        known = Contacts(usual_folder()).directory()
        found = known.all()
        if passed_over := known.passed_over():
            click.echo(printable(f"voicemux: {passed_over}"), err=True)
        if as_json:
            click.echo(json.dumps([asdict(each) for each in found]))
        elif not found:
            click.echo("voicemux: no contacts yet; the first call with a code makes one", err=True)
        for each in [] if as_json else found:
            where = ", ".join(each.addresses) or "-"
            click.echo(printable(f"{each.name}  {where}  (by {each.how}, {each.since})"))


@contacts.command()
@click.argument("old")
@click.argument("new")
@click.pass_obj
def rename(as_json: bool, old: str, new: str) -> None:
    """Give a contact another name."""
    _refuse_json(as_json, "rename")
    with exits():
        from voicemux.security.contacts import Contacts
        from voicemux.security.files import usual_folder

        Contacts(usual_folder()).rename(old, new)


@contacts.command()
@click.argument("name")
@click.argument("action", type=click.Choice(["add", "drop"]), required=False)
@click.argument("place", metavar="[HOST[:PORT]]", required=False)
@click.pass_obj
def address(as_json: bool, name: str, action: str | None, place: str | None) -> None:
    """Show a contact's addresses in the order in which they are dialled; add one in front, or drop one."""
    if action and not place:
        raise click.UsageError(f"which address? voicemux contacts address {name} {action} HOST[:PORT]")
    if action:
        _refuse_json(as_json, f"address {name} {action}")
    with exits():
        from voicemux.console.printable import printable
        from voicemux.net.address import parse_address
        from voicemux.security.contacts import Contacts
        from voicemux.security.files import usual_folder

        known = Contacts(usual_folder())
        if action == "add":
            known.add_address(name, str(parse_address(place or "")))
        elif action == "drop":
            known.drop_address(name, str(parse_address(place or "")))
        elif contact := known.directory().named(name):
            if as_json:
                click.echo(json.dumps(list(contact.addresses)))
            for each in [] if as_json else contact.addresses:
                click.echo(printable(each))
        else:
            raise SecurityError(f"no contact is called {name!r}")


@contacts.command("forget")
@click.argument("name")
@click.pass_obj
def forget_command(as_json: bool, name: str) -> None:
    """Forget a contact: the next call needs a code."""
    _refuse_json(as_json, "forget")
    with exits():
        from voicemux.security.contacts import Contacts
        from voicemux.security.files import usual_folder

        Contacts(usual_folder()).forget(name)


@contacts.command()
@click.argument("name", required=False)
@click.pass_obj
def show(as_json: bool, name: str | None) -> None:
    """Show the fingerprint of a contact's key, or of your own."""
    with exits():
        from dataclasses import asdict

        from voicemux.security.contacts import Contacts
        from voicemux.security.files import usual_folder
        from voicemux.security.identity import load_identity

        if name is None:
            fingerprint = load_identity(usual_folder()).fingerprint
            click.echo(json.dumps({"fingerprint": fingerprint}) if as_json else fingerprint)
        elif contact := Contacts(usual_folder()).directory().named(name):
            click.echo(json.dumps(asdict(contact)) if as_json else contact.fingerprint)
        else:
            raise SecurityError(f"{name} is not a contact")


def _refuse_json(as_json: bool, what: str) -> None:
    if as_json:
        raise click.UsageError(f"--json means nothing beside {what}: there is nothing to show")
