"""Maintenance and pause of a node and back, a new node, a new package."""

from collections.abc import Mapping
from dataclasses import replace

from host.console.forms import UPLOAD_BYTES_MAX, Field, Form, Question
from host.console.questions import Done, Result, answered, asked, kept
from host.console.undo import Undo
from host.console.view import View, items, one, text
from host.domain.json import JsonObject
from host.domain.wording import size

NODES = "/console/nodes"


# Maintenance and pause, and back


async def maintenance_question(view: View) -> Question:
    """Maintenance ends all flows of the node: its short hash has to be typed."""
    node = view.path("node")
    usage = one(await view.get("virtualnode", node, "usage"))
    number = 0 if usage is None else usage.get("flowsOpen", 0)
    return Question(
        title=f"Put {node} into maintenance",
        says=[
            f"{number} open flows end as KILLED; their counterparties' flows fail.",
            "No flow starts until the node is active again. Its ledger and its keys stay.",
        ],
        button="Put into maintenance",
        back=f"{NODES}/{node}",
        fields=(
            Field(
                name="typed",
                label=f"Type {node} to confirm",
                required=True,
            ),
        ),
        is_risk=True,
    )


async def maintenance(view: View, form: Form) -> Result:
    node = view.path("node")
    question = await maintenance_question(view)
    if form.text("typed").strip().upper() != node.upper():
        problem = "What was typed is not the node's short hash."
        return asked(view, replace(question, problem=problem), status=400)
    answer = await view.call("PUT", ("virtualnode", node, "state", "MAINTENANCE"))
    return answered(view, answer, question, Done(page=question.back, flash="maintenance"))


async def activate(view: View, form: Form) -> Result:
    """No question: it can be undone."""
    del form
    node = view.path("node")
    question = Question(title="Make the node active", button="Make active", back=f"{NODES}/{node}")
    answer = await view.call("PUT", ("virtualnode", node, "state", "ACTIVE"))
    return answered(view, answer, question, Done(page=question.back, flash="active"))


async def pause(view: View, form: Form) -> Result:
    """No question: its flows wait, without an end, until it is made active."""
    del form
    node = view.path("node")
    question = Question(title="Pause the node", button="Pause", back=f"{NODES}/{node}")
    answer = await view.call("PUT", ("virtualnode", node, "state", "PAUSED"))
    undo = Undo(path=f"{NODES}/{node}/activate")
    return answered(view, answer, question, Done(page=question.back, flash="paused", undo=undo))


# Create a node, upload a package


async def create_question(view: View) -> Question:
    """A package and a name."""
    stored = items(await view.get("cpi", limit=100), "cpis")
    options = [f"{text(c, 'cpiFileChecksum')} {_cpi_title(c)}" for c in stored]
    return Question(
        title="Create a virtual node",
        says=[] if options else ["No package is stored yet: upload one first."],
        button="Create 1 node",
        back=NODES,
        fields=(
            Field(name="cpi", label="Package", kind="select", options=options, required=True),
            Field(
                name="x500_name",
                label="X.500 name",
                hint="Such as O=Alice, L=London, C=GB; it never changes.",
                required=True,
            ),
        ),
    )


async def create(view: View, form: Form) -> Result:
    question = kept(await create_question(view), form)
    answer = await view.call(
        "POST",
        ("virtualnode",),
        body={
            "request": {
                "cpiFileChecksum": form.text("cpi").partition(" ")[0],
                "x500Name": form.text("x500_name"),
            }
        },
    )
    return answered(view, answer, question, Done(page=NODES, flash="creating"))


async def upload_question(view: View) -> Question:
    """A file."""
    del view
    return Question(
        title="Upload a package",
        says=["It is verified, and its code is compiled in a limited process, before it is kept."],
        button="Upload 1 package",
        back="/console/packages",
        fields=(Field(name="file", label="CPI", kind="file", required=True),),
        with_file=True,
    )


async def upload(view: View, form: Form) -> Result:
    question = await upload_question(view)
    if not form.file:
        problem = "No file was chosen."
        return asked(view, replace(question, problem=problem), status=400)
    if len(form.file) > UPLOAD_BYTES_MAX:
        problem = f"The file is longer than {size(UPLOAD_BYTES_MAX)}: use `cordbox cpi upload`."
        return asked(view, replace(question, problem=problem), status=400)
    answer = await view.call("POST", ("cpi",), raw=_multipart(form))
    return answered(view, answer, question, Done(page=question.back, flash="uploading"))


def _multipart(form: Form) -> tuple[bytes, str]:
    boundary = "cordbox-console-7MA4YWxkTrZu0gW"
    name = "".join(c for c in form.file_name if c.isalnum() or c in "-._")[:200] or "upload.cpi"
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="upload"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    body = head.encode() + (form.file or b"") + f"\r\n--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"


def _cpi_title(cpi: JsonObject) -> str:
    found = cpi.get("id")
    known = found if isinstance(found, Mapping) else {}
    return f"{known.get('cpiName', '')} {known.get('cpiVersion', '')}"
