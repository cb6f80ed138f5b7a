"""The objects that documents refer to: Secrets, pools of model servers, their pods."""
