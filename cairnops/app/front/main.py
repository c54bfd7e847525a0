"""What runs for every browser: who it is, the pages their role has, the overlay, and the live bridge."""

from pathlib import Path

import streamlit as st

from cairnops.app import chrome, shell
from cairnops.app.components import heartbeat, page_style

HERE = Path(__file__).parent

st.set_page_config(page_title="cairnops desk", page_icon=str(HERE / "static" / "icon.png"), layout="wide")
page_style()

person = chrome.sign_in()
if person is not None:
    shell.begin(person, chrome.changed)
    page = st.navigation(chrome.pages(), position="sidebar")
    shell.overlay()
    chrome.sidebar()
    chrome.bridge()
    heartbeat("/api/heartbeat", shell.tab())
    page.run()
    shell.end()
