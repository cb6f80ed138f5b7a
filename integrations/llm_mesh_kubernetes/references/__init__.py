"""What documents refer to: Secrets, pools of model servers, their pods."""
