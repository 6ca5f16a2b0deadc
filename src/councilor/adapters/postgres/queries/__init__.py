"""Every statement this adapter sends, by name, one module for each thing they are about.

Rules: values are parameters, always; a column list is written once; no statement is built from text at run time.
"""
