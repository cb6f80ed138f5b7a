"""Translates between dialects, through the neutral form.

transformer  relay  events  whole  split_pairs      one attempt: its request, response, stream
requests  texts  tools  thinking  proofs  faults    shared by the dialects' readers and writers
counting                                            token counts by providers, or estimates
"""
