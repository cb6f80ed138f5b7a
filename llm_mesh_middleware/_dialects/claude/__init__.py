"""What the Messages API and Converse share: both reach Claude models."""
