"""Around the pages: signing in, which pages a role has, and the sidebar."""

from pathlib import Path

import streamlit as st

from cairnops.app import components, identity, shell
from cairnops.app.components import live
from cairnops.app.text import plain
from cairnops.domain.conversations import Actor, Role
from cairnops.domain.duties import Duty
from cairnops.errors import CairnError
from cairnops.settings import roles_of_groups

STATIC = Path(__file__).parent / "front" / "static"


def sign_in() -> Actor | None:
    """The person at the browser; without one, the page to sign in on, and None."""
    settings = shell.room().settings
    if identity.provider(settings):
        return _with_provider(roles_of_groups(settings))
    person = identity.of_practice(shell.param("as"))
    if person is None:
        _choose()
    return person


def _with_provider(groups: dict[str, Role]) -> Actor | None:
    if not st.user.is_logged_in:
        _welcome()
        st.button("Sign in", type="primary", on_click=st.login, key="_sign_in")
        return None
    try:
        return identity.of_claims(st.user.to_dict(), groups)
    except CairnError as error:
        _welcome()
        st.error(plain(f"{error} {error.hint}".strip(), 500))
        st.button("Sign out", on_click=st.logout, key="_sign_out")
        return None


def _welcome() -> None:
    logo = f"logo_{'dark' if st.context.theme.type == 'dark' else 'light'}.svg"
    st.image(str(STATIC / logo), width=180, alt="cairnops")
    st.subheader("Practise escalations. Keep the evidence.", anchor=False)
    st.text("Every press is kept before anything is sent, and what was decided can be checked by anybody.")


def _choose() -> None:
    """The practice sign-in: people say who they are."""
    _, middle, _ = st.columns([1, 2, 1])
    with middle:
        _welcome()
        _known()
        with st.form("_who", border=True):
            st.text_input("E-mail", placeholder="alex.kim@practice.example", key="_who_email")
            st.selectbox("Role", [role.value for role in Role], key="_who_role", format_func=str.capitalize)
            st.form_submit_button("Sign in", type="primary", on_click=_chosen)
        if wrong := st.session_state.get("_who_wrong"):
            st.error(wrong)
        st.caption(
            "Practice identity: nobody checks who you are here. What you do is recorded under this name."
        )


def _known() -> None:
    """The people of the open sessions, one press away."""
    room = shell.room()
    names = [row["name"] for row in room.workspace.sessions.all() if row["state"] == "open"]
    wanted = shell.focus()
    for name in [wanted] if wanted in names else names[-3:]:
        people = room.workspace.sessions.get(name).participants
        if not people:
            continue
        with st.container(border=True, key=f"join_{names.index(name)}"):
            st.text(f"Join {name} as")
            with st.container(horizontal=True):
                for person in people:
                    st.button(
                        plain(f"{person.email} · {person.role.value}"),
                        key=f"_who_{name}_{person.email}",
                        on_click=_be,
                        args=(person, name),
                    )


def _chosen() -> None:
    email, role = st.session_state["_who_email"], st.session_state["_who_role"]
    person = identity.of_practice(f"{email.strip()}:{role}")
    if person is None:
        st.session_state["_who_wrong"] = "Write an e-mail address, such as alex.kim@practice.example."
        return
    _be(person, shell.focus() or _session_of(person))


def _session_of(person: Actor) -> str:
    """The newest session people practise in that names this person; empty when there is none."""
    sessions = shell.room().workspace.sessions
    there = [
        row["name"]
        for row in sessions.all()
        if row["state"] == "open" and person.email in row["participants"]
    ]
    return next((name for name in reversed(there) if sessions.get(name).live), "")


def _be(person: Actor, session: str) -> None:
    st.session_state.pop("_who_wrong", None)
    shell.set_param("as", f"{person.email}:{person.role.value}")
    shell.set_focus(session)


def pages() -> list[st.Page]:
    """The pages of the person's role; the functions behind them ask for the duty again."""
    from cairnops.app.pages import decisions, desk, results, session

    out = [st.Page(desk.page, title="Desk", icon=":material/inbox:", url_path="desk", default=True)]
    if shell.allowed(Duty.FACILITATE) or shell.allowed(Duty.REVIEW):
        out.append(st.Page(session.page, title="Session", icon=":material/groups:", url_path="session"))
    out.append(st.Page(results.page, title="Results", icon=":material/insights:", url_path="results"))
    if shell.allowed(Duty.REVIEW):
        icon = ":material/fact_check:"
        out.append(st.Page(decisions.page, title="Decisions", icon=icon, url_path="decisions"))
    return out


def sidebar() -> None:
    """The mark, the session in focus, who is there, and how help desk and log stand."""
    room, person = shell.room(), shell.me()
    dark = st.context.theme.type == "dark"
    st.logo(str(STATIC / f"logo_{'dark' if dark else 'light'}.svg"), size="large")
    with st.sidebar:
        names = [row["name"] for row in room.workspace.sessions.all() if row["state"] == "open"]
        if shell.focus() and shell.focus() not in names:
            names.append(shell.focus())
        if names:
            st.selectbox(
                "Session",
                ["", *names],
                index=(["", *names]).index(shell.focus()),
                format_func=lambda name: name or "Whatever waits",
                key=f"_focus_{shell.focus()}",
                on_change=_focused,
                args=(f"_focus_{shell.focus()}",),
            )
        with st.container(border=True, key="who"):
            practice = not identity.provider(room.settings)
            role = "QA" if person.role is Role.QA else person.role.value.capitalize()
            components.person(person.email, role, "practice identity" if practice else "")
            if practice:
                st.button("Change", key="_change", type="tertiary", on_click=_leave)
            else:
                st.button("Sign out", key="_sign_out", type="tertiary", on_click=st.logout)


def _focused(key: str) -> None:
    shell.set_focus(st.session_state[key])


def _leave() -> None:
    shell.set_param("as", "")
    shell.dismiss()


@st.fragment(key="bridge")
def bridge() -> None:
    """Hear of what was committed anywhere.

    In a fragment of its own, since what a component of the whole page sends cuts a page off that is being drawn:
    in a busy room nobody got from one page to the next.
    """
    # The version from before the page is drawn: what is committed while it is being drawn must be told too.
    live("/api/events", version=shell.room().version, on_change=changed)


def changed(_: str) -> None:
    """Something was committed somewhere: draw the page's live part again, and what hangs on it."""
    from cairnops.app.pages import case_form, case_steps

    case_steps.tell_delivered()
    # News can come together with a turn to another page, which must not be lost over it.
    if shell.whole_page_follows():
        return
    parts = ["page"]
    if shell.shown() and not case_form.stands():
        parts.append("overlay")
    if shell.unheard():
        parts.append("toasts")
    shell.refresh(*parts)
