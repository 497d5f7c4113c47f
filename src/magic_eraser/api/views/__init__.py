"""Accounts, money and jobs as the wire shows them; one file for each page of the API."""
