//! The service over real sockets: the shell against slow, greedy and hostile peers, and the routes of stock over a
//! store that keeps its books in memory.

mod service;
mod shell;
