//! Every limit and timeout of the service, side by side.

use std::time::Duration;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// What one server takes on, and how long it waits.
///
/// The defaults suit a service on a machine of a few cores that faces its clients directly. Any value may be
/// changed; a limit of zero refuses everything that it counts.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Open connections. One more is answered `busy` and closed.
    pub connections_max: usize,
    /// Open connections of one peer: one IPv4 address, or one IPv6 network of 64 bits.
    pub connections_per_peer_max: usize,
    /// Pause after a failed accept (usually: out of file descriptors) before the next try.
    pub accept_pause: Duration,
    /// How often a connection is held against its timeouts. Each timeout below that closes a connection is late by up
    /// to this much, and a shutdown is noticed by idle connections within it.
    pub check_interval: Duration,

    /// From the opening of a connection to the end of its TLS handshake, where TLS is spoken.
    pub tls_handshake_timeout: Duration,
    /// TLS handshakes in flight. One more ends the oldest of them.
    pub tls_handshakes_max: usize,
    /// How often the files of certificate and key are looked at for changes.
    pub certificate_reload_interval: Duration,

    /// From the first byte of a request to the end of its headers; from the opening of a connection, behind TLS from the
    /// end of its handshake, to its first request; and how long a connection may idle that never carried a valid token.
    pub head_timeout: Duration,
    /// How long a connection may idle that has carried a valid token.
    pub idle_timeout: Duration,
    /// Request line and headers of one request, in bytes: more is 431.
    pub head_bytes_max: usize,
    /// Header fields of one HTTP/1 request: more is 431. (HTTP/2 is bounded by `head_bytes_max`.)
    pub head_fields_max: usize,
    /// The HTTP/1 read buffer of one connection, in bytes. It grows to this only under a large body. At least 8 KiB.
    pub read_buffer_bytes_max: usize,

    /// Body of one request where its route names no other limit, in bytes: more is 413.
    pub body_bytes_max: usize,
    /// How long a body may keep us waiting beyond what `body_rate_min` allows it: longer is 408.
    pub body_grace: Duration,
    /// Bytes per second that a body must bring while we wait for it.
    pub body_rate_min: u32,
    /// How long a peer may leave our answer unread beyond what `write_rate_min` allows it: longer closes it.
    pub write_grace: Duration,
    /// Bytes per second that a peer must take while we wait to write.
    pub write_rate_min: u32,
    /// From the end of the request's headers to the start of the answer: longer is 503 `request_timeout`. A command
    /// that was under way may still take effect; the caller finds out with its request key.
    pub request_timeout: Duration,
    /// Requests with a handler at work. One more is answered 503 `busy` before its body is read.
    pub requests_in_flight_max: usize,
    /// Of these, the ones of one peer, counted like connections: one more is 503 `busy`. By default half, so that nobody
    /// takes all places with a few HTTP/2 connections. To a proxy that speaks HTTP/1.1 to us this is no limit, because it
    /// has no more connections than this; behind one that speaks HTTP/2 raise it to `requests_in_flight_max`.
    pub requests_per_peer_max: usize,
    /// Bytes of long bodies that are here at once, of all requests: more is 503 `busy`. Bodies of up to `body_bytes_max`
    /// are not counted, since `requests_in_flight_max` bounds them.
    pub long_body_bytes_max: usize,
    /// Bytes of answers that wait to be read, of all connections together: from then on reads are 503 `busy` before they
    /// run. What commands are answered goes out in any case, and what was being read then comes on top. Public routes are
    /// neither counted nor held back.
    pub answer_bytes_max: usize,
    /// Of these, the ones of one peer, counted like connections: from then on its reads are 503 `busy`. By default half, so
    /// that nobody who does not read keeps others from reading; behind a proxy raise it to `answer_bytes_max`.
    pub answer_bytes_per_peer_max: usize,
    /// What a `busy` answer asks the caller to wait. Whole seconds, at least one.
    pub busy_retry_after: Duration,
    /// How long a shutdown lets running requests finish.
    pub drain_timeout: Duration,

    /// Feeds of events that are open at once: one more is 503 `busy`.
    pub feeds_max: usize,
    /// Of these, the ones of one token: one more is 429 `too_many_feeds`.
    pub feeds_per_token_max: usize,

    /// Streams that one HTTP/2 connection may have open at a time.
    pub h2_streams_max: u32,
    /// Flow-control window of one HTTP/2 stream, in bytes.
    pub h2_stream_window_bytes: u32,
    /// Flow-control window of one HTTP/2 connection, in bytes: what a peer can make us buffer.
    pub h2_connection_window_bytes: u32,
    /// Streams that a peer may have reset before we took them up; more is a rapid-reset attack and closes it.
    pub h2_pending_resets_max: usize,
    /// Streams that we may have to reset for a peer's errors before the connection is closed.
    pub h2_local_resets_max: usize,
    /// Answer bytes buffered for one HTTP/2 stream; also the size of one piece of a long answer.
    pub h2_send_buffer_bytes_max: usize,
    /// How often a quiet HTTP/2 connection is asked whether it still lives.
    pub h2_ping_interval: Duration,
    /// How long the answer to that may take.
    pub h2_ping_timeout: Duration,

    /// Failed authentications that one peer may make at once before it gets 429.
    pub auth_failures_max: u32,
    /// Time after which one failed authentication is forgiven.
    pub auth_failure_forgiven_after: Duration,
    /// Peers whose failed authentications are remembered. Beyond it the least recent is forgotten.
    pub auth_peers_max: usize,
    /// How often the token file is looked at for changes.
    pub token_reload_interval: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections_max: 4096,
            connections_per_peer_max: 1024,
            accept_pause: Duration::from_millis(100),
            check_interval: Duration::from_millis(500),

            tls_handshake_timeout: Duration::from_secs(5),
            tls_handshakes_max: 512,
            certificate_reload_interval: Duration::from_secs(1),

            head_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(60),
            head_bytes_max: 16 * KIB,
            head_fields_max: 64,
            read_buffer_bytes_max: 64 * KIB,

            body_bytes_max: 64 * KIB,
            body_grace: Duration::from_secs(5),
            body_rate_min: 4096,
            write_grace: Duration::from_secs(5),
            write_rate_min: 4096,
            request_timeout: Duration::from_secs(30),
            requests_in_flight_max: 2048,
            requests_per_peer_max: 1024,
            long_body_bytes_max: 512 * MIB,
            answer_bytes_max: 256 * MIB,
            answer_bytes_per_peer_max: 128 * MIB,
            busy_retry_after: Duration::from_secs(1),
            drain_timeout: Duration::from_secs(20),

            feeds_max: 512,
            feeds_per_token_max: 64,

            h2_streams_max: 128,
            h2_stream_window_bytes: 256 * 1024,
            h2_connection_window_bytes: 1024 * 1024,
            h2_pending_resets_max: 20,
            h2_local_resets_max: 256,
            h2_send_buffer_bytes_max: 64 * KIB,
            h2_ping_interval: Duration::from_secs(20),
            h2_ping_timeout: Duration::from_secs(10),

            auth_failures_max: 30,
            auth_failure_forgiven_after: Duration::from_secs(2),
            auth_peers_max: 8192,
            token_reload_interval: Duration::from_secs(1),
        }
    }
}

/// Bytes of a request id that a caller may choose.
pub const REQUEST_ID_BYTES_MAX: usize = 128;
/// Bytes of a site's identifier.
pub const SITE_ID_BYTES_MAX: usize = 64;
/// Sites that one token may be bound to.
pub const TOKEN_SITES_MAX: usize = 1024;
/// Tokens in one file.
pub const TOKENS_MAX: usize = 10_000;
/// The highest rate of a token, in commands a second, and the largest burst, in commands.
pub const TOKEN_RATE_MAX: u32 = 1_000_000;
/// Size of a token file, in bytes.
pub const TOKEN_FILE_BYTES_MAX: u64 = 16 * MIB as u64;
