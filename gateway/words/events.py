"""Explanations beside the events of the log, which name no language themselves."""

from typing import Final

from gateway.words import Saying, saying

EXPLAINED: Final[dict[str, dict[str, Saying]]] = {
    "registrations.refused": {
        "why": saying("events.registrations_refused.why"),
        "remedy": saying("events.registrations_refused.remedy"),
    },
    "door.shut_beyond": {
        "why": saying("events.door_shut_beyond.why"),
        "remedy": saying("events.door_shut_beyond.remedy"),
    },
    "rules.odd": {
        "what": saying("events.rules_odd.what"),
        "remedy": saying("events.rules_odd.remedy"),
    },
    "rules.not_looked_at": {
        "what": saying("events.rules_not_looked_at.what"),
        "remedy": saying("events.rules_not_looked_at.remedy"),
    },
    "rules.refused": {
        "what": saying("events.rules_refused.what"),
        "remedy": saying("events.rules_refused.remedy"),
    },
    "rules.rest_waits": {
        "what": saying("events.rules_rest_waits.what"),
        "remedy": saying("events.rules_rest_waits.remedy"),
    },
    "tickets.unusable": {
        "what": saying("events.tickets_unusable.what"),
        "remedy": saying("events.tickets_unusable.remedy"),
    },
    "side.alone": {
        "what": saying("events.side_alone.what"),
        "remedy": saying("events.side_alone.remedy"),
    },
    "peer.deviates": {
        "why": saying("events.peer_deviates.why"),
        "remedy": saying("events.peer_deviates.remedy"),
    },
    "catalog.echoes": {
        "why": saying("events.catalog_echoes.why"),
        "remedy": saying("events.catalog_echoes.remedy"),
    },
    "peer.fault": {
        "why": saying("events.peer_fault.why"),
        "remedy": saying("events.peer_fault.remedy"),
    },
    "loop.held_up": {
        "why": saying("events.loop_held_up.why"),
        "remedy": saying("events.loop_held_up.remedy"),
    },
    "crossing.undeliverable": {
        "what": saying("events.crossing_undeliverable.what"),
        "remedy": saying("events.crossing_undeliverable.remedy"),
    },
    "audit.note_lost": {
        "what": saying("events.audit_note_lost.what"),
        "remedy": saying("events.audit_note_lost.remedy"),
    },
    "link.down": {
        "what": saying("events.link_down.what"),
    },
    "link.not_up": {
        "what": saying("events.link_not_up.what"),
    },
    "link.certificate_ends": {
        "what": saying("events.link_certificate_ends.what"),
        "remedy": saying("events.link_certificate_ends.remedy"),
    },
    "clock.jumped": {
        "what": saying("events.clock_jumped.what"),
        "remedy": saying("events.clock_jumped.remedy"),
    },
    "stream.control_unexpected": {
        "what": saying("events.stream_control_unexpected.what"),
        "remedy": saying("events.stream_control_unexpected.remedy"),
    },
    "source.no_port": {
        "what": saying("events.source_no_port.what"),
        "remedy": saying("events.source_no_port.remedy"),
    },
    "viewing.no_port": {
        "what": saying("events.viewing_no_port.what"),
        "remedy": saying("events.viewing_no_port.remedy"),
    },
    "source.no_relay": {
        "what": saying("events.source_no_relay.what"),
        "remedy": saying("events.source_no_relay.remedy"),
    },
    "viewing.no_relay": {
        "what": saying("events.viewing_no_relay.what"),
        "remedy": saying("events.viewing_no_relay.remedy"),
    },
    "viewing.leg_silent": {
        "what": saying("events.viewing_leg_silent.what"),
        "remedy": saying("events.viewing_leg_silent.remedy"),
    },
    "viewer.failed": {
        "what": saying("events.viewer_failed.what"),
        "remedy": saying("events.viewer_failed.remedy"),
    },
    "sip.malformed": {
        "what": saying("events.sip_malformed.what"),
        "remedy": saying("events.sip_malformed.remedy"),
    },
    "request.refused": {
        "what": saying("events.request_refused.what"),
        "remedy": saying("events.request_refused.remedy"),
    },
    "tls.refused": {
        "what": saying("events.tls_refused.what"),
        "remedy": saying("events.tls_refused.remedy"),
    },
    "store.write_failed": {
        "what": saying("events.store_write_failed.what"),
        "remedy": saying("events.store_write_failed.remedy"),
    },
    "store.write_owed": {
        "what": saying("events.store_write_owed.what"),
        "remedy": saying("events.store_write_owed.remedy"),
    },
    "store.lines_unreadable": {
        "what": saying("events.store_lines_unreadable.what"),
        "remedy": saying("events.store_lines_unreadable.remedy"),
    },
    "store.untidy": {
        "what": saying("events.store_untidy.what"),
        "remedy": saying("events.store_untidy.remedy"),
    },
    "store.write_refused": {
        "what": saying("events.store_write_refused.what"),
        "remedy": saying("events.store_write_refused.remedy"),
    },
    "control.unreadable": {
        "what": saying("events.control_unreadable.what"),
        "remedy": saying("events.control_unreadable.remedy"),
    },
    "response.unreadable": {
        "what": saying("events.response_unreadable.what"),
        "remedy": saying("events.response_unreadable.remedy"),
    },
    "alarms.flood": {
        "what": saying("events.alarms_flood.what"),
        "remedy": saying("events.alarms_flood.remedy"),
    },
    "alarm.unreadable": {
        "what": saying("events.alarm_unreadable.what"),
        "remedy": saying("events.alarm_unreadable.remedy"),
    },
    "alarms.overflow": {
        "what": saying("events.alarms_overflow.what"),
        "remedy": saying("events.alarms_overflow.remedy"),
    },
    "alarm.refused_above": {
        "what": saying("events.alarm_refused_above.what"),
        "remedy": saying("events.alarm_refused_above.remedy"),
    },
    "subscription.refused": {
        "what": saying("events.subscription_refused.what"),
        "remedy": saying("events.subscription_refused.remedy"),
    },
    "upper.lost": {
        "what": saying("events.upper_lost.what"),
        "remedy": saying("events.upper_lost.remedy"),
    },
    "catalog.page_refused": {
        "what": saying("events.catalog_page_refused.what"),
        "remedy": saying("events.catalog_page_refused.remedy"),
    },
    "catalog.synced": {
        "what": saying("events.catalog_synced.what"),
        "remedy": saying("events.catalog_synced.remedy"),
    },
    "legs.left_by_earlier_process": {
        "what": saying("events.legs_left_by_earlier_process.what"),
        "remedy": saying("events.legs_left_by_earlier_process.remedy"),
    },
    "sip.invite_unanswered": {
        "what": saying("events.sip_invite_unanswered.what"),
        "remedy": saying("events.sip_invite_unanswered.remedy"),
    },
    "calls.left_behind": {
        "what": saying("events.calls_left_behind.what"),
        "remedy": saying("events.calls_left_behind.remedy"),
    },
    "media.ports_exhausted": {
        "what": saying("events.media_ports_exhausted.what"),
    },
    "relay.not_told": {
        "what": saying("events.relay_not_told.what"),
        "remedy": saying("events.relay_not_told.remedy"),
    },
    "local.unavailable": {
        "what": saying("events.local_unavailable.what"),
        "remedy": saying("events.local_unavailable.remedy"),
    },
    "relay.port_taken": {
        "what": saying("events.relay_port_taken.what"),
        "remedy": saying("events.relay_port_taken.remedy"),
    },
}
"""By event, then by field: what a warning or an error means, why it is so, and what to do.

The code that logs gives the facts, and a reason where it knows one.
"""

BUG: Final = {"remedy": saying("events.bug.remedy")}
"""Of every other event that has a trace."""
