//! The versioned gRPC contracts of the control plane and the agent.
