"""German and Dutch words, and the concepts that they stand for."""

WORDS = """
kinder children  geburtsjahr birth_year  einstellungsdatum hire_date  vorname first_name
vornamen first_name  rufname first_name  nachname last_name  familienname last_name  zuname last_name
geburtsname maiden_name  mittelname middle_name  anrede salutation  titel title  benutzername username
benutzer user  nutzer user  nutzername username  anwender user  kennwort password  passwort password
kunde customer  kunden customer  kundennummer customer_number  kundennr customer_number
mitarbeiter employee  angestellter employee  mitglied member  mitglieder member
mitgliedsnummer member_number  personalnummer employee_number  personalnr employee_number
ansprechpartner contact  strasse street  str str  hausnummer house_number  hausnr house_number  plz postcode
postleitzahl postcode  ort city  wohnort city  stadt city  bundesland province  kanton province  land land
adresse address  anschrift address  lieferadresse shipping_address  rechnungsadresse billing_address
adresszusatz address_line  postfach po_box  telefon phone  telefonnummer phone_number
telefonnr phone_number  handy phone  handynummer phone_number  mobil phone  mobilnummer phone_number
mobiltelefon phone  rufnummer phone_number  festnetz phone  vorwahl area_code  geburtsdatum birth_date
geburtstag birth_date  gebdatum birth_date  gebdat birth_date  geburtsort birth_place
geburtsland birth_place  geschlecht gender  familienstand marital_status  staatsangehoerigkeit nationality
staatsbuergerschaft nationality  nationalitaet nationality  konfession religion  beruf occupation
stellung position  abteilung department  firma company  unternehmen company  arbeitgeber employer
gehalt salary  lohn salary  einkommen income  kontonummer bank_account_number  kontonr bank_account_number
kontoinhaber account_holder  bankleitzahl routing_number  blz routing_number  bankname bank_name
konto account  steuernummer tax_number  steuernr tax_number  steuerid tax_number  ustid vat  ustidnr vat
ausweisnummer identity_card  personalausweis identity_card  reisepass passport  fuehrerschein driver_license
kfz vehicle  kennzeichen license_plate  sozialversicherungsnummer ssn  svnr ssn
versichertennummer insurance_number  krankenkasse health_insurance  krankenversicherung health_insurance
diagnose diagnosis  befund finding  anamnese anamnesis  allergien allergy  medikament medication
medikamente medication  blutgruppe blood_group  groesse height  gewicht weight  patienten patient
arzt doctor  bemerkung note  bemerkungen note  notiz note  notizen note  kommentar comment
kommentare comment  nachricht message  nachrichten message  betreff subject  beschreibung description
inhalt content  antwort answer  frage question  bewertung rating  bestellung order  bestellungen order
rechnung invoice  rechnungen invoice  zahlung payment  artikel product  sprache language  zeitzone timezone
bild image  bilder image  lichtbild photo  profilbild avatar  datum date  nummer number  anzahl count
betrag amount  preis price  erstellt created  geaendert modified  angelegt created  bezeichnung label
kategorie category  rolle role  gruppe group  letzter last  letzte last  anmeldung login
einwilligung consent  zustimmung consent  werbung marketing  schueler student  lehrer teacher
spieler player  verein club  bewerber applicant  eintrittsdatum hire_date  austrittsdatum termination_date
personen person  eigentuemer owner  absender sender  empfaenger recipient  unterschrift signature
kreditkarte credit_card  kartennummer card_number  lieferung shipping  versand shipping
einstellungen setting  protokoll log  sitzung session  voornaam first_name  achternaam last_name
tussenvoegsel middle_name  voorletters initials  geboortedatum birth_date  geboorteplaats birth_place
geslacht gender  straat street  straatnaam street  huisnummer house_number  postcode postcode
woonplaats city  plaats city  gemeente city  telefoon phone  telefoonnummer phone_number  mobiel phone
gebruiker user  gebruikersnaam username  wachtwoord password  klant customer  klantnummer customer_number
klanten customer  medewerker employee  bedrijf company  bedrijfsnaam company  werkgever employer
salaris salary  rekeningnummer account_number  bsn bsn  burgerservicenummer bsn
rijksregisternummer national_id  rijbewijs driver_license  paspoort passport  opmerking note
opmerkingen note  bericht message  berichten message  aanhef salutation  nationaliteit nationality
burgerlijke civil  functie job_title  beroep occupation  onderwerp subject  omschrijving description
handtekening signature  foto photo  aantekening note  leden member  lidnummer member_number  taal language
bestelling order  factuur invoice  betaling payment  nieuwsbrief newsletter  naam name
"""
