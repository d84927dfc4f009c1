//! The numbers that the queues add to `/metrics`.

use jaego_server::{
    Metrics,
    metrics::{Counter, Gauge},
};

/// The numbers of an intake.
pub(crate) struct IntakeMeters {
    pub(crate) read: Counter,
    pub(crate) done: Counter,
    pub(crate) repeat: Counter,
    pub(crate) refused: Counter,
    pub(crate) dead: Counter,
    pub(crate) vanished: Counter,
    pub(crate) delivered_too_often: Counter,
    pub(crate) claimed: Counter,
    pub(crate) retries: Counter,
    pub(crate) pending: Gauge,
    pub(crate) lag: Gauge,
    pub(crate) connected: Gauge,
    pub(crate) authorised: Gauge,
    pub(crate) reconnects: Counter,
}

impl IntakeMeters {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let reply = |outcome| {
            let help = "Messages of the intake that were replied to, by outcome.";
            metrics.counter("jaego_intake_replies_total", help, &[("outcome", outcome)])
        };
        let count = |name, help| metrics.counter(name, help, &[]);
        let gauge = |name, help| metrics.gauge(name, help, &[]);
        Self {
            read: count("jaego_intake_read_total", "Messages read by the intake, redelivered ones included."),
            done: reply("done"),
            repeat: reply("repeat"),
            refused: reply("refused"),
            dead: reply("dead"),
            vanished: count(
                "jaego_intake_vanished_total",
                "Messages that were deleted from their stream before they were answered.",
            ),
            delivered_too_often: count(
                "jaego_intake_delivered_too_often_total",
                "Messages put to the dead letters because the service ended each time that they were decided.",
            ),
            claimed: count("jaego_intake_claimed_total", "Messages taken over from other consumers."),
            retries: count(
                "jaego_intake_retries_total",
                "Times that the store had too much to do and was asked again.",
            ),
            pending: gauge("jaego_intake_pending", "Messages delivered to the group and not answered yet."),
            lag: gauge("jaego_intake_lag", "Messages that the group has not read yet."),
            connected: gauge("jaego_intake_connected", "1 while the intake is connected."),
            authorised: gauge(
                "jaego_intake_authorised",
                "0 while the intake's token is revoked: no command is taken.",
            ),
            reconnects: count("jaego_intake_reconnects_total", "Times that the intake had to connect again."),
        }
    }
}

/// The numbers of an outbox.
pub(crate) struct OutboxMeters {
    pub(crate) published: Counter,
    pub(crate) sequence: Gauge,
    pub(crate) lag: Gauge,
    pub(crate) halted: Gauge,
    pub(crate) connected: Gauge,
    pub(crate) reconnects: Counter,
}

impl OutboxMeters {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let count = |name, help| metrics.counter(name, help, &[]);
        let gauge = |name, help| metrics.gauge(name, help, &[]);
        Self {
            published: count("jaego_outbox_published_total", "Events published by the outbox."),
            sequence: gauge("jaego_outbox_sequence", "The last event that the outbox is done with."),
            lag: gauge("jaego_outbox_lag", "Durable events that the outbox is not done with."),
            halted: gauge("jaego_outbox_halted", "1 while the outbox refuses to publish; the log says why."),
            connected: gauge("jaego_outbox_connected", "1 while the outbox is connected."),
            reconnects: count("jaego_outbox_reconnects_total", "Times that the outbox had to connect again."),
        }
    }
}
