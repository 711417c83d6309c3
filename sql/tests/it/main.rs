//! What SQL shows, in process and over the wire, against a small engine in memory.

mod access;
mod activity;
mod authentication;
mod bad_input;
mod bi;
mod clients;
mod commands;
mod engine;
mod errors;
mod examples;
mod extended;
mod introspection;
mod limits;
mod mistakes;
mod psql;
mod queries;
mod server;
mod sessions;
mod simple;
mod stopping;
mod tls;
mod views;
