//! `jaego serve`: the service on a data folder.

use std::{
    future,
    future::Future,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use clap::Args;
use jaego_engine::{Config, Engine, SystemClock};
use jaego_server::{
    Audit, Limits, Metrics, Role, Shell, Tokens, audit::Kind, logs, service, shell::PROTOCOLS,
    tokens::TokenGrant,
};
use jaego_store::Store;
use jaego_tls::Certificates;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{net::TcpListener, runtime::Runtime, signal::unix, sync::watch, task::JoinSet};

use crate::{
    audit::write_down,
    data,
    exit::Usage,
    queues::{QueueOptions, Queues},
    settings::{Ca, DataFolder, LISTEN_DEFAULT, Settings, SettingsFile},
};

/// Upper bounds of the histogram of sync times, in microseconds.
const SYNC_MICROS: &[u64] = &[50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 50_000, 100_000, 1_000_000];
/// Upper bounds of the histogram of events in a frame.
const FRAME_EVENTS: &[u64] = &[1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536];

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    data: DataFolder,
    /// The address to listen on [default: 127.0.0.1:7878]
    #[arg(long, env = "JAEGO_LISTEN", value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Speak TLS, with the certificate in this PEM file and those behind it; read again when it changes.
    #[arg(long, env = "JAEGO_TLS_CERT", value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// The private key of the certificate, a PEM file; read again when it changes.
    #[arg(long, env = "JAEGO_TLS_KEY", value_name = "FILE")]
    tls_key: Option<PathBuf>,
    #[command(flatten)]
    ca: Ca,
    #[command(flatten)]
    settings: SettingsFile,
    /// How logs are written: text or json.
    #[arg(long, env = "JAEGO_LOG_FORMAT", default_value = "text")]
    log_format: logs::Format,
    /// What is logged, such as `info` or `jaego=debug`.
    #[arg(long, env = "JAEGO_LOG", default_value = "info")]
    log: String,
    // The last ones: their heading would stand above all that follow.
    #[command(flatten)]
    queues: QueueOptions,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    logs::init(options.log_format, &options.log)
        .map_err(|error| anyhow!("cannot start the logs: {error}"))?;
    raise_open_files();
    let settings = options.settings.read()?;
    let data = options.data.get(&settings)?;
    let listen = match options.listen.or(settings.listen) {
        Some(listen) => listen,
        None => LISTEN_DEFAULT.parse().map_err(|error| Usage(format!("{LISTEN_DEFAULT}: {error}")))?,
    };
    let certificates = options.certificates(&settings)?;
    let scheme = if certificates.is_some() { "https" } else { "http" };
    let mut service = Service::open(&data)?;
    service.certificates = certificates;
    if let Some(token) = service.first_token()? {
        // The only time that it is seen; to stdout, for scripts.
        println!("admin token: {token}");
    }
    // After the first token was made, so that a first start can name it.
    service.queues = options.queues.read(&settings, &service.tokens, &options.ca.trust(&settings))?;
    let runtime = runtime()?;
    let engine = service.engine();
    let served = runtime.block_on(async {
        let listening = listen_on(listen).await?;
        println!("listening on {scheme}://{}", listening.local_addr().context("cannot tell the address")?);
        tracing::info!(data = %data.display(), "jaego serves");
        service.serve(listening, future::pending()).await
    });
    end(runtime, &engine, served)
}

impl Options {
    /// What is shown over TLS, if that is spoken.
    fn certificates(&self, settings: &Settings) -> Result<Option<Certificates>> {
        let certificate = self.tls_cert.as_ref().or(settings.tls_cert.as_ref());
        let key = self.tls_key.as_ref().or(settings.tls_key.as_ref());
        match (certificate, key) {
            (None, None) => Ok(None),
            (Some(certificate), Some(key)) => {
                let opened = Certificates::open(certificate, key, &PROTOCOLS);
                Ok(Some(opened.context("cannot speak TLS")?))
            }
            (Some(_), None) => {
                Err(Usage("which key is the certificate for? Say --tls-key FILE".to_owned()).into())
            }
            (None, Some(_)) => {
                Err(Usage("which certificate is the key for? Say --tls-cert FILE".to_owned()).into())
            }
        }
    }
}

/// Lets the service open as many files and sockets as it may at all. The usual first limit of 1,024 is less than the
/// connections that it takes.
fn raise_open_files() {
    let limits = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limits.maximum, ..limits };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "cannot raise the number of open files");
    }
}

/// The threads of a service.
pub(crate) fn runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")
}

/// Ends the threads and then the store, whichever way the service ended.
pub(crate) fn end(runtime: Runtime, engine: &Engine, served: Result<()>) -> Result<()> {
    // The runtime's last tasks may still hold the store: it closes in any case.
    runtime.shutdown_timeout(Duration::from_secs(1));
    let closed = engine.close();
    served?;
    closed.map_err(|detail| anyhow!("the store has failed: {detail}"))
}

pub(crate) async fn listen_on(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

/// A store that is open, and who may come in.
pub(crate) struct Service {
    engine: Arc<Engine>,
    tokens: Tokens,
    queues: Queues,
    certificates: Option<Certificates>,
    data: PathBuf,
}

impl Service {
    /// Opens the data folder, and makes it if it is not there.
    pub(crate) fn open(data: &Path) -> Result<Self> {
        let recovered = data::open_store(data, Config::default())?;
        if let Some(cut) = &recovered.report.cut {
            tracing::warn!(file = %cut.file, offset = cut.offset, len = cut.len, what = %cut.what,
                "the remains of a frame that was being written were cut; nothing of it was ever acknowledged");
        }
        for error in &recovered.passed_over {
            let detail = format!("{:#}", anyhow!(error.clone()));
            tracing::warn!(%detail, "a checkpoint cannot be used and was passed over");
        }
        let tokens = Tokens::open(data::tokens_file(data)).context("cannot open the tokens")?;
        let engine = Engine::start(recovered, Config::default(), SystemClock);
        Ok(Self { engine, tokens, queues: Queues::default(), certificates: None, data: data.to_owned() })
    }

    pub(crate) fn engine(&self) -> Arc<Engine> {
        Arc::clone(&self.engine)
    }

    /// Makes an admin's token where there is no token yet.
    pub(crate) fn first_token(&self) -> Result<Option<String>> {
        if !self.tokens.list().is_empty() {
            return Ok(None);
        }
        let grant = TokenGrant { name: "admin".to_owned(), role: Role::Admin, sites: None };
        let (id, token) = self.tokens.create(grant).context("cannot make the first token")?;
        write_down(&self.data, Kind::TokenCreated, format!("{id} admin admin"));
        Ok(Some(token.reveal().to_owned()))
    }

    /// Serves until a signal, until the store fails, or until `ended`.
    pub(crate) async fn serve(self, listener: TcpListener, ended: impl Future<Output = ()>) -> Result<()> {
        let Self { engine, tokens, queues, certificates, data } = self;
        let metrics = Metrics::new();
        let audit = Audit::open(&data::audit_folder(&data), &metrics).context("cannot open the audit log")?;
        let syncs = metrics.histogram(
            "jaego_sync_duration_seconds",
            "Time of the journal's syncs.",
            &[],
            SYNC_MICROS,
        );
        let frames =
            metrics.histogram_of_counts("jaego_frame_events", "Events in a frame.", &[], FRAME_EVENTS);
        engine.observe_syncs(move |time, events| {
            syncs.observe(time);
            frames.observe_count(u64::from(events));
        });
        let checkpoint = Arc::clone(&engine);
        metrics.gauge_reading(
            "jaego_checkpoint_sequence",
            "The last event in a checkpoint.",
            &[],
            move || checkpoint.checkpoint().0 as f64,
        );
        let (stop, stopping) = watch::channel(false);
        let store: Arc<dyn Store> = engine.clone();
        let tokens = Arc::new(tokens);
        let mut tasks = JoinSet::new();
        queues.start(&mut tasks, &store, &tokens, &metrics, &stopping);
        let mut shell = Shell::new(Limits::default(), tokens, metrics.clone());
        if let Some(certificates) = certificates {
            shell = shell.tls(certificates);
        }
        let shell = service::mount(shell, store, &metrics, stopping).audit(audit.clone());
        let mut terminate = unix::signal(unix::SignalKind::terminate()).context("cannot wait for SIGTERM")?;
        let mut interrupt = unix::signal(unix::SignalKind::interrupt()).context("cannot wait for SIGINT")?;
        let failed = engine.failed();
        let mut failure = None;
        let ending = async {
            tokio::select! {
                _ = terminate.recv() => tracing::info!("SIGTERM: finishing what was begun"),
                _ = interrupt.recv() => tracing::info!("SIGINT: finishing what was begun"),
                detail = failed => failure = Some(anyhow!("the store has failed: {detail}")),
                // A queue that ends by itself does so with its store, which says why.
                Some(Err(error)) = tasks.join_next() => failure = Some(anyhow!("a queue has stopped: {error}")),
                () = ended => {}
            }
            stop.send_replace(true);
            // What was read from a queue is finished like what came over HTTP.
            while tasks.join_next().await.is_some() {}
        };
        let drained = shell.serve(listener, ending).await;
        audit.close();
        tracing::info!(finished = drained.finished, cut = drained.cut, "jaego has stopped serving");
        failure.map_or(Ok(()), Err)
    }
}
