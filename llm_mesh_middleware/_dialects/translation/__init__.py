"""Translates between dialects, through the neutral form.

transformer  relay  events  whole  split_pairs      one attempt: its request, response, stream
requests  texts  tools  thinking  proofs  faults    what the dialects' readers and writers use
counting                                            an estimate where no provider counts tokens
"""
