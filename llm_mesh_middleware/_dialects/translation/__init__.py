"""Translates between dialects, through the neutral form.

pair                                                two dialects, ready for attempts
transformer  relay  events  whole                   one attempt: its request, response, stream
requests  texts  tools  thinking  proofs  faults    shared by the dialects' readers and writers
made_images                                         moves images of models to the user's turns
counting                                            token counts by providers, or estimates
"""
