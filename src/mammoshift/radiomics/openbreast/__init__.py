"""The features of OpenBreast, one module for each of its groups; MATLAB's conventions are kept.

Reference: Pertuz et al. 2019, "Open framework for mammography-based breast cancer risk
assessment", IEEE EMBS Biomedical and Health Informatics. Names are those of its code.
"""
