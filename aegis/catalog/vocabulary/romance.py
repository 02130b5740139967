"""French, Spanish, Portuguese and Italian words, and the concepts that they stand for."""

WORDS = """
poblacion city  assunzione hire  embauche hire  contratacion hire  admissao hire  famille family
prenom first_name  prenoms first_name  nom name  noms name  patronyme last_name  civilite salutation
pseudo username  pseudonyme username  identifiant identifier  utilisateur user  utilisateurs user
motdepasse password  mdp password  passe pass  mot mot  courriel email  mel email  telephone phone
portable phone  telecopie fax  adresse address  rue street  voie street  codepostal postcode  ville city
commune city  pays country  departement department  naissance birth  datenaissance birth_date  lieu place
sexe sex  genre gender  nationalite nationality  situation situation  familiale family
profession occupation  metier occupation  poste position  entreprise company  societe company
organisme organisation  champs field
employeur employer  salaire salary  compte account  numero number  nir ssn  insee insee  secu ssn
securite security  sociale social  permis permit  conduire driving  passeport passport  carte card
identite identity  remarque note  remarques note  commentaire comment  commentaires comment  sujet subject
objet subject  contenu content  reponse answer  avis review  langue language  fuseau timezone  photo photo
client client  clients client  adherent member  eleve student  etudiant student  enseignant teacher
professeur teacher  medecin doctor  diagnostic diagnosis  maladie disease  traitement treatment
ordonnance prescription  groupe group  sanguin blood  taille height  poids weight  commande order
commandes order  facture invoice  factures invoice  paiement payment  livraison shipping
facturation billing  dernier last  derniere last  connexion login  consentement consent  signature signature
salarie employee  addi additional
personne person  personnes person  expediteur sender  destinataire recipient
creation created  modification modified  quantite quantity  montant amount  prix price  libelle label
nombre nombre  nombres name  apellido last_name  apellidos last_name  primer first  segundo second
materno maternal  paterno paternal  usuario user  usuarios user  contrasena password  contrasenia password
clave clave  correo email  electronico electronic  telefono phone  telefonos phone  celular phone
movil phone  direccion address  domicilio address  calle street  colonia city  ciudad city  localidad city
municipio city  provincia province  estado estado  codigo code  codpostal postcode  pais country
cp postcode  fecha date  nacimiento birth  fechanacimiento birth_date  fnacimiento birth_date  sexo sex
genero gender  nacionalidad nationality  civil civil  ocupacion occupation  profesion occupation
cargo job_title  puesto job_title  empresa company  salario salary  sueldo salary  cuenta account
bancaria bank  tarjeta card  dni dni  nif nif  nie nie  curp curp  rfc rfc  cedula cedula  cuit cuit
cuil cuil  rut rut  pasaporte passport  licencia license  conducir driving  matricula license_plate
seguridad security  observaciones note  observacion note  comentario comment  comentarios comment
mensaje message  asunto subject  descripcion description  contenido content  respuesta answer
idioma language  cliente customer  clientes customer  empleado employee  empleados employee  alumno student
alumnos student  estudiante student  profesor teacher  docente teacher  medico doctor  paciente patient
pacientes patient  diagnostico diagnosis  enfermedad disease  tratamiento treatment  receta prescription
alergia allergy  alergias allergy  pedido order  pedidos order  factura invoice  pago payment
envio shipping  ultimo last  ultima last  acceso access  sesion session  consentimiento consent  firma firma
persona person  personas person  remitente sender  destinatario recipient  peso weight  altura height
estatura height  cantidad quantity  importe amount  precio price  jugador player  socio member  padre father
madre mother  nome name  sobrenome last_name  apelido nickname  senha password  telefone phone
celulares phone  endereco address  logradouro street  rua street  bairro city  cidade city  cep postcode
uf province  nascimento birth  datanascimento birth_date  dtnascimento birth_date  nasc birth
dtnasc birth_date  estadocivil marital_status  profissao occupation  salarios salary  conta account
cartao card  cpf cpf  cnpj cnpj  rg rg  cnh driver_license  pis ssn  nit ssn  passaporte passport  nis ssn
mensagem message  assunto subject  descricao description  conteudo content  resposta answer
funcionario employee  funcionarios employee  aluno student  alunos student  professores teacher
doenca disease  pagamento payment  entrega shipping  ultimos last  pessoa person  pessoas person  mae mother
pai father  quantidade quantity  valor value  preco price  observacoes note  obs obs  numeros number
complemento address_line  foto photo  fone phone  cognome last_name  utente user  utenti user
indirizzo address  citta city  comune city  cap cap  nascita birth  datanascita birth_date  luogo place
sesso sex  cittadinanza nationality  codicefiscale codice_fiscale  fiscale fiscal  codice code
partitaiva vat  piva vat  iva iva  partita partita  telefoni phone  cellulare phone  via via
azienda company  dipendente employee  dipendenti employee  stipendio salary  patente driver_license
carta card  nazione country  paese country  regione province  lingua language  messaggio message
oggetto subject  descrizione description  contenuto content  risposta answer  ordine order  ordini order
fattura invoice  pazienti patient  paziente patient  malattia disease  allergie allergy  nota note
studente student  studenti student  docenti teacher  accesso access  ultimi last  prezzo price
importo amount  quantita quantity  persone person  coniuge spouse  professione occupation
mansione job_title  clienti customer
"""
