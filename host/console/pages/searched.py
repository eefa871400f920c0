"""What a search found; one thing alone is shown at once."""

from host.console.view import Page, View, items


async def show(view: View) -> Page:
    asked = view.query("q", most=200).strip()
    answer = await view.get("search", q=asked or "?")
    return view.render(
        "searched",
        section="",
        answer=answer,
        q=asked,
        nodes=items(answer, "virtualNodes"),
        flows=items(answer, "flows"),
        packages=items(answer, "packages"),
    )
