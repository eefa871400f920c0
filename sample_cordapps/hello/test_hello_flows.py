from hello_flows import Hello, HelloRequest

from cordapp_testkit import Network

ALICE = "O=Alice, L=London, C=GB"


def test_greets_in_the_name_of_the_node(cordapp_network: Network) -> None:
    alice = cordapp_network.node(ALICE)
    assert alice.start(Hello, {"name": "Bob"}) == {"greeting": f"Hello Bob, this is {ALICE}"}
    assert alice.log == ["INFO greeting Bob"]


def test_a_request_is_an_object_of_its_class_or_its_json(cordapp_network: Network) -> None:
    alice = cordapp_network.node(ALICE)
    asked = alice.start(Hello, HelloRequest(name="Bob"))
    assert asked == alice.start(Hello, {"name": "Bob"})
