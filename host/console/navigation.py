"""The sections of the console, with the key that leads to each."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section: its heading above it, if it is the first below one, path, icon and key."""

    name: str
    title: str
    path: str
    icon: str
    key: str
    heading: str = ""
    counts: str = ""


SECTIONS = (
    Section(
        name="overview",
        title="Overview",
        path="/console",
        icon='<path d="M2 13V8m4 5V3m4 10V6m4 7V9"/>',
        key="o",
    ),
    Section(
        name="nodes",
        title="Virtual nodes",
        path="/console/nodes",
        icon='<path d="M14 10v2.5a1.5 1.5 0 0 1-1.5 1.5h-9A1.5 1.5 0 0 1 2 12.5v-9'
        'A1.5 1.5 0 0 1 3.5 2h9A1.5 1.5 0 0 1 14 3.5V6"/>'
        '<rect x="5.5" y="5.5" width="5" height="5" rx="1"/>',
        key="n",
        heading="Run",
    ),
    Section(
        name="flows",
        title="Flows",
        path="/console/flows",
        icon='<path d="M3.5 2v12M12.5 2v12M3.5 5.5h8m-2.5-2.2 2.5 2.2L9 7.7M12.5 11h-6"/>',
        key="f",
    ),
    Section(
        name="dead-letters",
        title="Dead letters",
        path="/console/dead-letters",
        icon='<path d="M2 4.5h12v8H2zM2 5l6 4.5L14 5"/><path d="m12 1 2.5 2.5M14.5 1 12 3.5"/>',
        key="d",
    ),
    Section(
        name="packages",
        title="Packages",
        path="/console/packages",
        icon='<path d="m8 1.7 5.7 3v6.6L8 14.3l-5.7-3V4.7zM2.5 4.8 8 7.8l5.5-3M8 7.8v6.3"/>',
        key="p",
        heading="Trust",
    ),
    Section(
        name="ledger",
        title="Ledger",
        path="/console/ledger",
        icon='<rect x="1.5" y="2" width="5" height="4" rx="1"/>'
        '<rect x="9.5" y="6" width="5" height="4" rx="1"/>'
        '<rect x="1.5" y="10" width="5" height="4" rx="1"/>'
        '<path d="M6.5 4h1.2v3.5h1.8M6.5 12h1.2V8.5h1.8"/>',
        key="l",
    ),
    Section(
        name="networks",
        title="Networks",
        path="/console/networks",
        icon='<circle cx="8" cy="3.2" r="1.7"/><circle cx="3" cy="12" r="1.7"/>'
        '<circle cx="13" cy="12" r="1.7"/>'
        '<path d="M7.2 4.8 3.9 10.5M8.8 4.8l3.3 5.7M4.7 12h6.6"/>',
        key="m",
    ),
    Section(
        name="log",
        title="Administrative log",
        path="/console/log",
        icon='<path d="M3 2.5h10v11H3zM5.5 5.5h5M5.5 8h5M5.5 10.5h3"/>',
        key="a",
        heading="Record",
    ),
    Section(
        name="people",
        title="Users and roles",
        path="/console/people",
        icon='<circle cx="8" cy="5" r="2.7"/>'
        '<path d="M2.5 14c.6-3 2.8-4.5 5.5-4.5s4.9 1.5 5.5 4.5"/>',
        key="u",
        heading="Administer",
    ),
    Section(
        name="settings",
        title="Settings",
        path="/console/settings",
        icon='<path d="M2 5h7m3 0h2M2 11h2m3 0h7"/><circle cx="10.5" cy="5" r="1.5"/>'
        '<circle cx="5.5" cy="11" r="1.5"/>',
        key="s",
    ),
)
