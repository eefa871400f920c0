from hello_flows import Hello

from cordapp_testkit import Network

ALICE = "O=Alice, L=London, C=GB"


def test_greets_in_the_name_of_the_node(cordapp_network: Network) -> None:
    alice = cordapp_network.node(ALICE)
    assert alice.start(Hello, {"name": "Bob"}) == {"greeting": f"Hello Bob, this is {ALICE}"}
    assert alice.log == ["INFO greeting Bob"]
