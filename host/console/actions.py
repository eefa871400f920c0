"""What the console does: each action is asked by a page, sent by a form, and is one REST operation.

A question works without a script. What changed since it was asked makes it be asked again.
"""

from collections.abc import Awaitable, Callable, Mapping

from host.console.flow_actions import kill, kill_question, start, start_question
from host.console.flow_choices import kill_chosen
from host.console.forms import Form, Question
from host.console.letter_actions import content, move, move_chosen
from host.console.network_actions import decide, decide_question, ping, repair
from host.console.node_actions import (
    activate,
    create,
    create_question,
    maintenance,
    maintenance_question,
    pause,
    upload,
    upload_question,
)
from host.console.node_choices import change_chosen
from host.console.node_move import move_node, move_question
from host.console.node_quota import quota, quota_question
from host.console.node_upgrade import upgrade, upgrade_question
from host.console.people_actions import assign, password, password_question, remove
from host.console.people_actions import create as create_user
from host.console.people_actions import create_question as create_user_question
from host.console.questions import Result
from host.console.setting_actions import change_setting, setting_question
from host.console.view import View

ACTIONS: Mapping[str, Callable[[View, Form], Awaitable[Result]]] = {
    "/dead-letters/chosen": move_chosen,
    "/dead-letters/{letter}/retry": move,
    "/dead-letters/{letter}/discard": move,
    "/dead-letters/{letter}/restore": move,
    "/dead-letters/{letter}/content": content,
    "/flows/chosen": kill_chosen,
    "/flows/{node}/{request}/kill": kill,
    "/nodes/chosen": change_chosen,
    "/nodes/create": create,
    "/nodes/{node}/start": start,
    "/nodes/{node}/quota": quota,
    "/nodes/{node}/upgrade": upgrade,
    "/nodes/{node}/move": move_node,
    "/nodes/{node}/maintenance": maintenance,
    "/nodes/{node}/activate": activate,
    "/nodes/{node}/pause": pause,
    "/packages/upload": upload,
    "/people/create": create_user,
    "/people/{login}/assign": assign,
    "/people/{login}/remove": remove,
    "/people/{login}/password": password,
    "/settings/{name}/change": change_setting,
    "/networks/{node}/ping": ping,
    "/networks/{node}/{verdict}/{request}": decide,
    "/ledger/{node}/{transaction}/repair": repair,
}
"""Path below `/console` -> what its form does."""
QUESTIONS: Mapping[str, Callable[[View], Awaitable[Question]]] = {
    "/flows/{node}/{request}/kill": kill_question,
    "/nodes/create": create_question,
    "/nodes/{node}/start": start_question,
    "/nodes/{node}/quota": quota_question,
    "/nodes/{node}/upgrade": upgrade_question,
    "/nodes/{node}/move": move_question,
    "/nodes/{node}/maintenance": maintenance_question,
    "/packages/upload": upload_question,
    "/people/create": create_user_question,
    "/people/{login}/password": password_question,
    "/settings/{name}/change": setting_question,
    "/networks/{node}/{verdict}/{request}": decide_question,
}
"""Path below `/console` -> what its page asks."""
