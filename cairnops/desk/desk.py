"""What a person can do at the desk: see a case, ask for something, and learn what became of it."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from cairnops import codec
from cairnops.desk.ports import Ledger
from cairnops.domain import actions, guardrails, sla, stale, suggestions
from cairnops.domain.actions import Apply, Outcome, Refuse, Repeat
from cairnops.domain.changes import Change, Entry, Keyed
from cairnops.domain.conversations import Actor, Conversation
from cairnops.domain.decisions import DECISION_TYPE, SUGGESTION_SHOWN, Decision, Scope, uid_of
from cairnops.domain.policy import Policy
from cairnops.domain.requests import Action, Facts, Flags, Request
from cairnops.domain.rules import Verdict
from cairnops.domain.sla import Priority, Sla
from cairnops.domain.suggestions import AiDraft, Source, Suggestion
from cairnops.errors import InputError, StaleFacts
from cairnops.telemetry import tracing

#: How often a commit is tried again on facts that changed under it; each try decides anew.
_TRIES = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """A case as the modal shows it."""

    conversation: Conversation
    version: int
    suggestion: Suggestion | None
    suggestion_uid: str
    #: What approving as it is would meet.
    verdicts: tuple[Verdict, ...]
    sla: Sla
    priority: Priority | None
    flags: Flags


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """What became of a request, as the driver shows it."""

    outcome: Outcome
    #: The decision's uid and number; empty and 0 when there is none.
    decision: str
    number: int
    effects: tuple[str, ...] = ()

    @property
    def refused(self) -> str:
        """The rule code of a refusal, of this request or of the one it repeats; empty otherwise."""
        match self.outcome:
            case Refuse(code=code):
                return code
            case Repeat(refused=code):
                return code
            case _:
                return ""

    @property
    def sentence(self) -> str:
        """What to tell the person."""
        match self.outcome:
            case Refuse(sentence=sentence, way_out=way_out):
                return f"{sentence} {way_out}".strip()
            case Repeat(sentence=sentence):
                return sentence
            case _:
                return "Decision logged to audit trail" if self.number else "Logged"


class Desk:
    """One policy, one set of flags, one ledger; time and identifiers are handed in."""

    def __init__(
        self,
        ledger: Ledger,
        policy: Policy,
        flags: Flags,
        clock: Callable[[], datetime],
        shop_domain: str,
    ):
        """`clock` gives the moment in UTC each time it is asked."""
        self.ledger = ledger
        self.policy = policy
        self.flags = flags
        self.clock = clock
        self.shop_domain = shop_domain

    @cached_property
    def policy_hash(self) -> str:
        """The hash stored with every decision; previews are many and need none."""
        return codec.policy_hash(self.policy)

    def observe(self, conversation: Conversation, actor: Actor) -> int:
        """Keep a conversation as the help desk shows it now; returns its version."""
        now = self.clock()
        standing = sla.read(conversation, self.policy.sla, now).in_force
        return self.ledger.observe(conversation, at=now, actor=actor, breached_at=standing.breached_at)

    def open(
        self, conversation: str, actor: Actor, *, key: str, session: str = "", draft: AiDraft | None = None
    ) -> View:
        """Show a case: the suggestion is chosen and the fact that it was shown is recorded.

        `key` names this opening; opening again under the same key shows the same suggestion. An AI
        suggestion becomes a record of its own (scope `build`), which the decision later points to.

        Raises:
            NotFound: when the conversation has not been observed.
            InputError: when the key belongs to something else, or the draft cannot be stored.
        """
        _storable(draft)
        now = self.clock()
        shown_uid = uid_of(now, "shown", key)
        for _ in range(_TRIES):
            facts = self.ledger.facts(
                conversation, key=key, suggestion=shown_uid, session=session, flags=self.flags
            )
            if facts.prior is not None:
                if facts.prior.fingerprint != _opening(conversation):
                    taken = actions.REFUSALS["request.key_reused"]
                    raise InputError(f"{taken.title}.", hint=taken.way_out)
                before = self.ledger.facts(
                    conversation, key=key, suggestion=facts.prior.sentence, session=session, flags=self.flags
                )
                return self._view(before, actor, now)
            suggestion = suggestions.suggest(
                facts.conversation, self.policy, ai_enabled=self.flags.ai_escalations, draft=draft
            )
            if suggestion is not None:
                facts = replace(facts, suggestion=suggestion, suggestion_uid=shown_uid)
            view = self._view(facts, actor, now)
            try:
                self.ledger.commit(self._shown(view, shown_uid, actor, key, session, now))
            except StaleFacts:
                continue
            return view
        raise StaleFacts

    def look(self, conversation: str, *, session: str = "", suggestion: str = "") -> View:
        """A case as it stands now, without opening it: nothing is recorded.

        `suggestion` is the uid of one that was shown before.

        Raises:
            NotFound: when the conversation has not been observed.
        """
        facts = self.ledger.facts(
            conversation, key="", suggestion=suggestion, session=session, flags=self.flags
        )
        return self._view(facts, Actor(email=""), self.clock())

    def preview(self, request: Request) -> tuple[tuple[Verdict, ...], int]:
        """What the request would meet now, and the version of the conversation that was judged; nothing is recorded.

        Raises:
            NotFound: when the conversation has not been observed.
        """
        facts = self.ledger.facts(
            request.conversation,
            key="",
            suggestion=request.suggestion,
            session=request.session,
            flags=self.flags,
        )
        return guardrails.preview(facts, request, self.policy, self.clock()), facts.version

    def submit(self, request: Request) -> Receipt:
        """Load the facts, let the domain decide, commit what it decided; once, whatever the driver does.

        Raises:
            NotFound: when the conversation has not been observed.
            InputError: when a text of the request cannot be stored.
            StaleFacts: when the conversation kept changing faster than it could be decided.
        """
        _storable(request)
        with tracing.step("submit", action=request.action.value) as step:
            receipt = self._submit(request)
            step.say(
                outcome=type(receipt.outcome).__name__.lower(), code=receipt.refused, decision=receipt.number
            )
            return receipt

    def _submit(self, request: Request) -> Receipt:
        for _ in range(_TRIES):
            facts = self.ledger.facts(
                request.conversation,
                key=request.key,
                suggestion=request.suggestion,
                session=request.session,
                flags=self.flags,
            )
            now = self.clock()
            outcome = actions.decide(
                request, facts, self.policy, now, policy_hash=self.policy_hash, shop=self.shop_domain
            )
            try:
                return self._record(request, facts, outcome, now)
            except StaleFacts:
                continue
        raise StaleFacts

    def _record(self, request: Request, facts: Facts, outcome: Outcome, now: datetime) -> Receipt:
        if isinstance(outcome, Repeat):
            return Receipt(outcome=outcome, decision=outcome.decision, number=outcome.number)
        kind, code, sentence = "action.refused", "", ""
        body: dict[str, object] = {"action": request.action.value}
        decision: Decision | None = None
        if isinstance(outcome, Apply):
            kind, decision = outcome.event, outcome.decision
            sentence = "Decision logged to audit trail" if decision else "Logged"
        else:
            code, sentence = outcome.code, outcome.sentence
            body["sentence"] = sentence
        body["verdicts"] = [codec.plain(v) for v in outcome.verdicts]
        for name in ("note", "reason", "override"):
            if value := getattr(request, name):
                body[name] = value
        if outcome_follow_up := (outcome.follow_up if isinstance(outcome, Apply) else None):
            body["followUp"] = codec.plain(outcome_follow_up)
        change = Change(
            conversation=request.conversation,
            expect=facts.version if isinstance(outcome, Apply) else None,
            entry=Entry(
                kind=kind,
                at=now,
                actor=request.actor,
                conversation=request.conversation,
                session=request.session,
                key=request.key,
                code=code,
                body=body,
            ),
            # A key that belongs to another request stays that one's; the refusal is recorded beside it.
            keyed=Keyed(
                key=request.key,
                fingerprint=actions.fingerprint(request),
                refused=code,
                sentence=sentence,
            )
            if facts.prior is None
            else None,
            decision=decision,
            effects=outcome.effects if isinstance(outcome, Apply) else (),
            seen=stale.seen(facts.conversation),
            follow_up=outcome.follow_up if isinstance(outcome, Apply) else None,
        )
        with tracing.step("commit") as step:
            committed = self.ledger.commit(change)
            step.say(decision=committed.number, effects=len(committed.effects))
        return Receipt(
            outcome=outcome,
            decision=decision.uid if decision else "",
            number=committed.number,
            effects=committed.effects,
        )

    def _shown(self, view: View, uid: str, actor: Actor, key: str, session: str, now: datetime) -> Change:
        suggestion, record = view.suggestion, None
        body: dict[str, object] = {
            "source": suggestion.source.value if suggestion else "",
            "template": suggestion.template_id if suggestion else "",
            "missing": list(suggestion.missing) if suggestion else [],
            "verdicts": [codec.plain(v) for v in view.verdicts],
            "sla": codec.plain(view.sla),
            "priority": view.priority.value if view.priority else "",
            "version": view.version,
        }
        if suggestion is not None and suggestion.source is Source.AI:
            record = Decision(
                uid=uid,
                decision_id=0,
                scope=Scope.BUILD,
                type=DECISION_TYPE,
                action=SUGGESTION_SHOWN,
                actor=actor,
                shop_domain=self.shop_domain,
                conversation=view.conversation.ref,
                session=session,
                request_key=key,
                created_at=now,
                rationale=f"Suggested {suggestion.template_id}",
                suggestion=suggestion,
                flags=self.flags,
                policy_profile=self.policy.profile,
                policy_hash=self.policy_hash,
            )
        return Change(
            conversation=view.conversation.id,
            entry=Entry(
                kind="suggestion.shown" if suggestion else "suggestion.withheld",
                at=now,
                actor=actor,
                conversation=view.conversation.id,
                session=session,
                key=key,
                body=body | {"uid": uid if suggestion else ""},
            ),
            keyed=Keyed(
                key=key, fingerprint=_opening(view.conversation.id), sentence=uid if suggestion else ""
            ),
            decision=record,
            shown=(uid, suggestion) if suggestion else None,
        )

    def _view(self, facts: Facts, actor: Actor, now: datetime) -> View:
        standing = sla.read(facts.conversation, self.policy.sla, now)
        approve = Request(
            action=Action.APPROVE_SEND, conversation=facts.conversation.id, actor=actor, key="preview"
        )
        return View(
            conversation=facts.conversation,
            version=facts.version,
            suggestion=facts.suggestion,
            suggestion_uid=facts.suggestion_uid,
            verdicts=guardrails.preview(facts, approve, self.policy, now),
            sla=standing,
            priority=sla.triage(facts.conversation, standing, self.policy, now),
            flags=self.flags,
        )


def _opening(conversation: str) -> str:
    """What the key of an opening stands for: this conversation and no other."""
    return f"open:{conversation}"


def _storable(value: object) -> None:
    """Refuse text that has no UTF-8: a browser or a shell can hand over half of a character."""
    try:
        json.dumps(codec.plain(value), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise InputError(
            "The text holds half of a character (a lone surrogate), which nobody could read back.",
            hint="Delete it and type it again.",
        ) from None
