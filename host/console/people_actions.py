"""Make a user, give and take roles, set another password."""

from dataclasses import replace
from urllib.parse import quote

from host.console.forms import Field, Form, Question
from host.console.questions import Done, Result, answered, kept
from host.console.undo import Undo
from host.console.view import View
from host.domain.json import JsonObject

PEOPLE = "/console/people"


def _page(login: str) -> str:
    return f"{PEOPLE}/{quote(login, safe='')}"


async def create_question(view: View) -> Question:
    del view
    return Question(
        title="Make a user",
        says=["The user has no rights until a role was given."],
        button="Make 1 user",
        back=PEOPLE,
        fields=(
            Field(name="login_name", label="Login name", required=True),
            Field(name="full_name", label="Full name", required=True),
            Field(
                name="password",
                label="Password",
                kind="password",
                hint="None: the user signs in by the host's identity provider.",
            ),
        ),
    )


async def create(view: View, form: Form) -> Result:
    question = kept(await create_question(view), form)
    login = form.text("login_name").strip()
    body: JsonObject = {
        "loginName": login,
        "fullName": form.text("full_name"),
        "enabled": True,
        "initialPassword": form.text("password") or None,
    }
    answer = await view.call("POST", ("user",), body={"request": body})
    return answered(
        view, answer, _without_password(question), Done(page=_page(login), flash="user-made")
    )


async def assign(view: View, form: Form) -> Result:
    return await _change(view, form, "PUT", "remove", "role-given")


async def remove(view: View, form: Form) -> Result:
    return await _change(view, form, "DELETE", "assign", "role-taken")


async def _change(view: View, form: Form, method: str, undoing: str, flash: str) -> Result:
    """No question: it can be undone."""
    login, role = view.path("login"), form.text("role")
    question = Question(title="Roles of a user", button="Change", back=_page(login))
    answer = await view.call(method, ("user", login, "role", role))
    undo = Undo(path=f"{_page(login)}/{undoing}", fields={"role": role})
    return answered(view, answer, question, Done(page=_page(login), flash=flash, undo=undo))


async def password_question(view: View) -> Question:
    login = view.path("login")
    return Question(
        title=f"Set another password for {login}",
        says=["Sessions of the user end. The user has to change it within a week."],
        button="Set password",
        back=_page(login),
        fields=(Field(name="password", label="Password", kind="password", required=True),),
    )


async def password(view: View, form: Form) -> Result:
    login = view.path("login")
    question = await password_question(view)
    body = {"username": login, "password": form.text("password")}
    answer = await view.call("POST", ("user", "otheruserpassword"), body={"request": body})
    return answered(view, answer, question, Done(page=_page(login), flash="password"))


def _without_password(question: Question) -> Question:
    """The question as it is asked again: no page holds a password."""
    fields = (f if f.kind != "password" else replace(f, value="") for f in question.fields)
    return replace(question, fields=tuple(fields))
