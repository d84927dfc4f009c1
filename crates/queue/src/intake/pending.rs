//! Messages that were delivered before and not answered: tried again together, then alone, then counted out.
//!
//! Redis counts the deliveries of a message that is pending. That number alone does not say whose fault it is that a
//! process ended: all that it had in its hands is delivered again. So a message that was tried twice is tried alone from
//! then on, and only while it is alone in the hands of the store does its count stand for it: a process that lives on
//! takes the count back. Who reaches [`limits::DELIVERIES_MAX`] has ended a process each time that it was alone.

use jaego_api::Problem;
use redis::{Value, cmd};

use super::{Delivery, Ending, Session};
use crate::{
    limits,
    link::{Error, Link},
    message::{self, Message, MessageId},
    reply::Answer,
};

/// A message that was delivered and not answered, as the group knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    id: MessageId,
    /// How often it was delivered so far.
    deliveries: u64,
}

impl Session<'_> {
    /// Answers what this consumer has in its name: of an earlier life, or taken over.
    pub(super) async fn finish_own(&mut self) -> Result<(), Ending> {
        let mut after = None;
        loop {
            let page = self.own_pending(after).await?;
            let Some(last) = page.last() else {
                self.left.is_broken_off = false;
                return Ok(());
            };
            after = Some(last.id);
            tracing::info!(stream = %self.intake.options.stream, messages = page.len(),
                "the intake goes on with what was delivered and not answered");
            let mut rest = &page[..];
            while let Some(first) = rest.first() {
                let is_unread = self.is_unread(first);
                let fits = |one: &&Pending| {
                    one.deliveries < limits::DELIVERIES_TOGETHER_MAX && self.is_unread(one) == is_unread
                };
                let together = rest.iter().take_while(fits).count();
                if together > 0 {
                    // The delivery that was counted for what never came is this one.
                    let (deliveries, delivery) =
                        if is_unread { (Some(1), Delivery::First) } else { (None, Delivery::Again) };
                    let messages = self.take(&rest[..together], deliveries).await?;
                    self.handle(messages, delivery).await?;
                } else if first.deliveries < limits::DELIVERIES_MAX {
                    self.try_alone(*first).await?;
                } else {
                    self.count_out(*first).await?;
                }
                rest = &rest[together.max(1)..];
                if self.intake.is_stopping() {
                    return Ok(());
                }
            }
        }
    }

    /// Whether a message is one of a read that was broken off before it came.
    fn is_unread(&self, one: &Pending) -> bool {
        self.left.is_broken_off && one.deliveries == 1 && self.left.handed < one.id
    }

    /// Notes that the message in hand is not what ends processes, because this one lives.
    pub(super) async fn acquit(&mut self) -> Result<(), Error> {
        match self.suspect {
            Some(suspect) => self.count_as(suspect.id, limits::DELIVERIES_TOGETHER_MAX).await,
            None => Ok(()),
        }
    }

    /// Notes that the message in hand is about to be decided.
    pub(super) async fn suspect(&mut self) -> Result<(), Error> {
        match self.suspect {
            Some(suspect) => self.count_as(suspect.id, suspect.deliveries + 1).await,
            None => Ok(()),
        }
    }

    /// Hands a message to the store with no other beside it.
    async fn try_alone(&mut self, one: Pending) -> Result<(), Ending> {
        // However long the token is gone, that is not the message's doing.
        self.intake.caller().await?;
        // It is counted when it is here: a server that does not bring it is not the message's doing either.
        let messages = self.take(&[one], Some(one.deliveries)).await?;
        self.suspect = Some(one);
        let handled = match self.suspect().await {
            Ok(()) => self.handle(messages, Delivery::Again).await,
            Err(error) => Err(error.into()),
        };
        self.suspect = None;
        if let Err(Ending::Broken(_)) = handled {
            // It was decided or never got so far, and only the server could not be reached. Should this not reach it
            // either, then it is remembered.
            self.left.survivor = Some(one.id);
            let _ = self.count_as(one.id, limits::DELIVERIES_TOGETHER_MAX).await;
        }
        handled
    }

    /// Puts a message that was tried often enough to the dead letters.
    async fn count_out(&mut self, one: Pending) -> Result<(), Ending> {
        let Pending { id, deliveries } = one;
        let detail = format!(
            "the message was delivered {deliveries} times and never answered, the last times alone: each time the service \
             ended while it was decided"
        );
        let problem = Problem::new("delivered_too_often", detail).with("deliveries", deliveries);
        tracing::error!(stream = %self.intake.options.stream, message = %id, deliveries,
            "a message has ended the service each time that it was decided, and goes to the dead letters");
        for message in self.take(&[one], Some(deliveries)).await? {
            let answer = match message.fields {
                Some(_) => Answer::problem(&message, &problem),
                None => Answer::vanished(&message),
            };
            self.answer(&[answer]).await?;
            self.intake.meters.delivered_too_often.increment();
        }
        Ok(())
    }

    /// What is pending in this consumer's name behind a message, as many as one read asks for.
    async fn own_pending(&mut self, after: Option<MessageId>) -> Result<Vec<Pending>, Error> {
        let options = &self.intake.options;
        let doing = "look what was delivered and not answered";
        let start = after.map_or_else(|| "-".to_owned(), |after| format!("({after}"));
        let mut look = cmd("XPENDING");
        look.arg(options.stream.as_str()).arg(options.group.as_str()).arg(start).arg("+");
        look.arg(self.read_messages).arg(options.consumer.as_str());
        let entries = message::list(self.link.run(doing, &look).await?).ok_or(Error::Shape { doing })?;
        let mut page: Vec<_> =
            entries.into_iter().map(pending).collect::<Option<_>>().ok_or(Error::Shape { doing })?;
        let survivor = self.left.survivor;
        for one in &mut page {
            if survivor == Some(one.id) {
                one.deliveries = one.deliveries.min(limits::DELIVERIES_TOGETHER_MAX);
            }
            // Whoever had it before may live and be slow: nobody else's word is enough to count it out.
            if self.taken_over.remove(&one.id) {
                one.deliveries = one.deliveries.min(limits::DELIVERIES_MAX - 1);
            }
        }
        Ok(page)
    }

    /// Takes messages in hand, and counts it, as said or by one. Those that were deleted come without fields. One alone that
    /// is too long to be read is answered, and does not come.
    async fn take(&mut self, pending: &[Pending], deliveries: Option<u64>) -> Result<Vec<Message>, Error> {
        let doing = "take messages that were delivered before";
        let mut claim = self.claim_command();
        for one in pending {
            claim.arg(one.id.to_string());
        }
        if let Some(deliveries) = deliveries {
            claim.arg("RETRYCOUNT").arg(deliveries);
        }
        let found = match (self.link.read(limits::ANSWER_WAIT, doing, &claim).await, pending) {
            (Err(_), [one]) if self.link.is_over() => {
                self.refuse_unread(one.id).await?;
                return Ok(Vec::new());
            }
            (found, _) => found?,
        };
        let mut found = message::entries(found).ok_or(Error::Shape { doing })?.into_iter().peekable();
        let messages = pending.iter().map(|one| {
            found.next_if(|found| found.id == one.id).unwrap_or(Message { id: one.id, fields: None })
        });
        let messages = messages.collect();
        if found.next().is_some() {
            return Err(Error::Shape { doing });
        }
        Ok(messages)
    }

    /// Answers a message that is longer than [`limits::READ_BYTES_MAX`], of which nothing is kept. The connection that
    /// brought the beginning of it is left.
    async fn refuse_unread(&mut self, id: MessageId) -> Result<(), Error> {
        let (length, max) = (limits::READ_BYTES_MAX, limits::COMMAND_BYTES_MAX);
        tracing::warn!(stream = %self.intake.options.stream, message = %id,
            "a message is longer than {length} bytes: it goes to the dead letters unread");
        let detail = format!(
            "the message has more than {length} bytes, and a command may have {max}; it was not read"
        );
        let problem = Problem::new("too_large", detail).with("max", max);
        self.intake.meters.reconnects.increment();
        self.link = Link::open(&self.intake.options.server).await?;
        self.answer(&[Answer::problem(&Message { id, fields: None }, &problem)]).await
    }

    /// Sets how often a message counts as delivered.
    async fn count_as(&mut self, id: MessageId, deliveries: u64) -> Result<(), Error> {
        let mut claim = self.claim_command();
        claim.arg(id.to_string()).arg("RETRYCOUNT").arg(deliveries).arg("JUSTID");
        self.link.run("count the deliveries of a message", &claim).await.map(drop)
    }

    fn claim_command(&self) -> redis::Cmd {
        let options = &self.intake.options;
        let mut claim = cmd("XCLAIM");
        claim.arg(options.stream.as_str()).arg(options.group.as_str()).arg(options.consumer.as_str()).arg(0);
        claim
    }
}

/// Reads an item of `XPENDING`: an id, a consumer, how long it was idle, and how often it was delivered.
fn pending(value: Value) -> Option<Pending> {
    let mut parts = message::list(value)?.into_iter();
    let id = MessageId::parse(&message::bytes(parts.next()?)?)?;
    match parts.nth(2)? {
        Value::Int(deliveries) => Some(Pending { id, deliveries: u64::try_from(deliveries).ok()? }),
        _ => None,
    }
}
