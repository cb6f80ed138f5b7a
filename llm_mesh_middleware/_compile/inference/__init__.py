"""Documents of the Gateway API inference extension: pools of servers, names of models, pickers."""
