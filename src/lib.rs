//! Keywire: who may call which model, and how the call proves it.
