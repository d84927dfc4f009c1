//! How a stream to the server becomes an encrypted one, with the feature `tls`.

use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

use super::options::PostgresOptionsError;

#[cfg(feature = "tls")]
pub(super) use self::encrypted::Connector;
#[cfg(not(feature = "tls"))]
// It can be copied and the other one cannot, so whoever needs one of their own calls `Clone::clone`.
pub(super) use tokio_postgres::NoTls as Connector;

/// What a URL asks for. "If the server likes" is no promise, so it counts as plain.
fn wants_tls(server: &mut Config) -> bool {
    let wants = server.get_ssl_mode() == SslMode::Require;
    if !wants {
        server.ssl_mode(SslMode::Disable);
    }
    wants
}

/// The connector for what the URL asks for.
#[cfg(not(feature = "tls"))]
pub(super) fn connector(server: &mut Config) -> Result<Connector, PostgresOptionsError> {
    if wants_tls(server) { Err(PostgresOptionsError::NoTls) } else { Ok(Connector) }
}

/// The connector for what the URL asks for.
#[cfg(feature = "tls")]
pub(super) fn connector(server: &mut Config) -> Result<Connector, PostgresOptionsError> {
    if wants_tls(server) { Connector::with(&crate::Tls::system()) } else { Ok(Connector::plain()) }
}

#[cfg(feature = "tls")]
mod encrypted {
    use std::fmt;
    use std::future::Future;
    use std::io;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Poll};

    use rustls::ClientConfig;
    use rustls::pki_types::ServerName;
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
    use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};

    use crate::postgres::options::PostgresOptionsError;

    /// Makes encrypted connections, if it has what that takes.
    #[derive(Clone)]
    pub(in crate::postgres) struct Connector(Option<Arc<ClientConfig>>);

    impl Connector {
        pub(in crate::postgres) fn plain() -> Self {
            Self(None)
        }

        pub(in crate::postgres) fn with(tls: &crate::Tls) -> Result<Self, PostgresOptionsError> {
            let config = tls.config().map_err(|source| PostgresOptionsError::Tls { source })?;
            Ok(Self(Some(Arc::new(config))))
        }
    }

    impl fmt::Debug for Connector {
        fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str(if self.0.is_some() { "Tls" } else { "Plain" })
        }
    }

    impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> MakeTlsConnect<S> for Connector {
        type Stream = Encrypted<S>;
        type TlsConnect = Handshake;
        type Error = io::Error;

        fn make_tls_connect(&mut self, host: &str) -> io::Result<Handshake> {
            // Asked for before it is known whether there will be a handshake.
            let Some(config) = self.0.clone() else { return Ok(Handshake(None)) };
            let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
            Ok(Handshake(Some((config, name))))
        }
    }

    /// One that is about to be made; nothing for a plain connection.
    pub(in crate::postgres) struct Handshake(Option<(Arc<ClientConfig>, ServerName<'static>)>);

    impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsConnect<S> for Handshake {
        type Stream = Encrypted<S>;
        type Error = io::Error;
        type Future = Pin<Box<dyn Future<Output = io::Result<Encrypted<S>>> + Send>>;

        fn connect(self, stream: S) -> Self::Future {
            Box::pin(async move {
                let Some((config, name)) = self.0 else {
                    return Err(io::Error::other("this connection is to be plain"));
                };
                tokio_rustls::TlsConnector::from(config).connect(name, stream).await.map(Encrypted)
            })
        }
    }

    /// An encrypted stream.
    pub(in crate::postgres) struct Encrypted<S>(tokio_rustls::client::TlsStream<S>);

    impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Encrypted<S> {
        fn channel_binding(&self) -> ChannelBinding {
            // The certificate is checked in full, which is what a binding to it would add.
            ChannelBinding::none()
        }
    }

    impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Encrypted<S> {
        fn poll_read(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_read(context, buffer)
        }
    }

    impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Encrypted<S> {
        fn poll_write(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.0).poll_write(context, bytes)
        }

        fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_flush(context)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_shutdown(context)
        }
    }
}
