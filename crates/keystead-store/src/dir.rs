//! The data directory: who may enter it, and that only one server does.
