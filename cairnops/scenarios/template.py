"""The pack a new author starts from: one complete scenario that lints clean and runs as it is."""

import re
from datetime import date

_PACK = """\
# yaml-language-server: $schema=./cairnops-pack.schema.json
id: {id}
title: {title}
summary: One case to start from. Change the customer, the order and the words; keep the shape.
owner: enablement
version: "1"
reviewed: {day}
expires: null
date: {day}
weekday: {weekday}
starts_at: {day}T09:00:00Z
minutes: 30
policy: dry-run
flags: {{modal_approvals: true, ai_escalations: false}}
roles: {{facilitator: Enablement lead, scribe: Support desk partner, observer: QA partner}}
agenda:
  - {{title: Welcome and roles, minutes: 10}}
  - {{title: The case, minutes: 15, scenarios: [late-parcel]}}
  - {{title: Questions, minutes: 5}}
checklist:
  - {{id: rehearsal, text: Run this pack once and read the result, when: T-24h}}
probes: [chatwoot, ledger]
gates:
  - {{id: ready, title: Help desk and decision log answer, require: chatwoot and ledger}}

scenarios:
  - id: late-parcel
    title: A parcel that does not move
    proves: [suggestion.template, sla.breach]
    world:
      customer: {{name: Robin Hale, email: robin.hale@customers.example}}
      conversation: {{id: "3001", created: -90m, tags: [shipping]}}
      messages:
        - {{from: customer, at: -90m, text: "Where is my order? The tracking has not moved for two days."}}
      order: {{number: "#1001", total: "48.00", cues: ["label created 2 days ago, no carrier scan"]}}
    script:
      - {{at: +0m, say: "Read the case. Which clock is red, and what does the customer want to know?"}}
      - {{at: +1m, open: {{}}}}
      - at: +3m
        approve: {{note: "Asked the carrier for a trace."}}
    expect:
      suggestion: {{template: ship_update, source: template}}
      sla: {{breached_last_customer: true}}
      decisions:
        - {{action: approve_send, template: ship_update, edited: false}}
      delivery:
        - {{effect: reply, status: SUCCESS, attempt: 1}}
        - {{effect: note, status: SUCCESS, attempt: 1}}
      customer_sees: ["Hi Robin"]
    answer: {{best: approve, why: "The template answers what was asked, and the name is right."}}
"""


def text(name: str, today: date) -> str:
    """The pack's YAML under an id made of `name`, dated today."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "my-pack"
    return _PACK.format(
        id=slug, title=slug.replace("-", " ").capitalize(), day=today.isoformat(), weekday=f"{today:%A}"
    )
